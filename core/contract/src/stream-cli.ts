import type { Readable, Writable } from 'node:stream';
import type { ClientSession, JsonObject } from '@towline/protocol';

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

/** What a verb is given by the command line program. */
export interface CliHost {
  /** Opens a session on the device of the invocation. @throws TowlineError when refused. */
  openSession(protocol: string, body: JsonObject): Promise<OpenedSession>;
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
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
