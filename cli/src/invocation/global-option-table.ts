/** The options that every command takes, as they are typed. Apart from their parsing, so that the help needs no parser. */
export const GLOBAL_OPTION_LINES: readonly (readonly [flags: string, description: string])[] = Object.freeze([
  ['--relay <url>', 'relay to use, instead of the one logged in to'],
  ['--profile <name>', 'profile whose login to use'],
  ['--transport <name>', 'how links to the relay are opened: auto, quic, tls or websocket; tls when left out'],
  ['--json', 'print JSON on stdout, and errors as JSON on stderr'],
  ['--no-color', 'no colours'],
  ['-v, --verbose', 'say more on stderr'],
]);
