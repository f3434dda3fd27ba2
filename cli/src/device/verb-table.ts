import type { StreamCommand } from '@towline/contract';

/** A verb that a stream plugin brings. */
export interface StreamVerb {
  readonly verb: string;
  /** Whether it passes on the exit code of a remote program; our own failures are 255 then, as in ssh. */
  readonly passesExitCode: boolean;
  /** Loads the CLI half of the plugin. */
  load(): Promise<StreamCommand>;
}

/** Verbs of the stream plugins that come with the program. */
export const STREAM_VERBS: readonly StreamVerb[] = Object.freeze([
  { verb: 'shell', passesExitCode: true, load: async () => (await import('@towline/stream-shell/cli')).command },
  { verb: 'exec', passesExitCode: true, load: async () => (await import('@towline/stream-exec/cli')).command },
  { verb: 'ls', passesExitCode: false, load: async () => (await import('@towline/stream-files/cli')).listCommand },
  { verb: 'forward', passesExitCode: false, load: async () => (await import('@towline/stream-forward/cli')).forward },
  { verb: 'socks', passesExitCode: false, load: async () => (await import('@towline/stream-forward/cli')).socks },
]);
