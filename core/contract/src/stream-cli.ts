import type { Readable, Writable } from 'node:stream';
import type { ClientSession, JsonObject, TowlineError } from '@towline/protocol';

/** One option of a verb, in the notation of commander: `-t, --tty` or `--secret <name>`. */
export interface CliOption {
  readonly flags: string;
  readonly description: string;
  /** May be given several times; collected to an array. */
  readonly repeatable?: boolean;
}

/** What was typed. */
export interface CliInvocation {
  readonly device: string;
  /** Words after the verb that are no options; after `--` all of them. */
  readonly args: readonly string[];
  /** By camel-cased long name. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

/** A session that the device accepted. */
export interface OpenedSession {
  readonly session: ClientSession;
  /** Body of the device's answer. */
  readonly answer: JsonObject;
  /** The device as the relay knows it. */
  readonly device: { readonly id: string; readonly name: string; readonly fingerprint: string };
}

/** How a kept link is. */
export type KeptLinkState =
  | { readonly state: 'up' }
  /** It was lost, or could not be made again; the next attempt is after `retryMs`. */
  | { readonly state: 'down'; readonly error: TowlineError; readonly retryMs: number };

/** A link to the relay that is made again whenever it is lost. Disposing it ends it, and whatever it carries. */
export interface KeptLink extends AsyncDisposable {
  /**
   * Opens a session on the device of the invocation. While the link is down this waits for it, `waitMs` at most.
   * @throws TowlineError when refused, `unavailable` when the link stays down, and the reason of `signal` when that is one.
   */
  openSession(
    protocol: string,
    body: JsonObject,
    patience: { readonly signal: AbortSignal /** Milliseconds. */; readonly waitMs: number },
  ): Promise<OpenedSession>;
  /** Resolves when it was ended from this side. Rejects with what no waiting heals, as a revoked key. */
  readonly over: Promise<void>;
}

/** What a verb is given by the command line program. */
export interface CliHost {
  /**
   * Opens a session on the device of the invocation. A link that was lost is dialled anew, once an opening; whoever wants to wait
   * for a relay or a device to come back opens again. @throws TowlineError when refused, or when the relay cannot be reached.
   */
  openSession(protocol: string, body: JsonObject): Promise<OpenedSession>;
  /** Makes a link that is kept up. `onState` is told of each change after the first. @throws TowlineError when it cannot be made. */
  keepLink(onState: (state: KeptLinkState) => void): Promise<KeptLink>;
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** CLI half of a stream plugin whose words name the device themselves, as in `towline cp D:PATH PATH`. */
export interface PathCommand {
  /** First word of the command line. No device can have it as its name. */
  readonly word: string;
  readonly summary: string;
  /** Shown in the usage line after the options. */
  readonly usage: string;
  readonly options: readonly CliOption[];
  /**
   * `hostOf` makes what is needed for the device of that name; it is one link for all of them. Resolves with the exit code.
   * @throws TowlineError for failures of our own.
   */
  run(invocation: Omit<CliInvocation, 'device'>, hostOf: (device: string) => CliHost): Promise<number>;
}

/** CLI half of a stream plugin: `towline DEVICE VERB`. */
export interface StreamCommand {
  readonly verb: string;
  readonly summary: string;
  /** Shown in the usage line after the options, as `-- CMD...`. */
  readonly usage: string;
  readonly options: readonly CliOption[];
  /** Resolves with the exit code of the program. @throws TowlineError for failures of our own. */
  run(invocation: CliInvocation, host: CliHost): Promise<number>;
}
