import { printable, TowlineError } from '@towline/protocol';
import { relayAddress } from '../relay-url.ts';
import { mostTelling } from './verdict.ts';

/** Longest text that a device may send with its proof, characters. */
const MAX_TEXT = 300;

interface RungName {
  /** As people write it. */
  readonly label: string;
  readonly port: string;
}

const NAMES: Readonly<Record<string, RungName>> = Object.freeze({
  quic: { label: 'QUIC', port: 'UDP port' },
  tls: { label: 'TLS', port: 'TCP port' },
  websocket: { label: 'WebSocket', port: 'TCP port' },
});

/** What is said of a rung that was passed over while it still waited for the relay. */
export function describeSilence(transport: string, relay: URL): string {
  return `the relay did not answer on ${nameOf(transport).port} ${relayAddress(relay).port}.`;
}

/** Why each rung is not used, in the order given, as `QUIC: the relay did not answer on UDP port 8085.` */
export function describeRungs(reasons: readonly (readonly [transport: string, reason: string])[]): string {
  const byReason = new Map<string, string[]>();
  for (const [transport, reason] of reasons) byReason.set(reason, [...(byReason.get(reason) ?? []), nameOf(transport).label]);
  const text = [...byReason].map(([reason, labels]) => `${labels.join(' and ')}: ${reason}`).join(' ');
  return shorten(printable(text));
}

/** The error of a relay that no rung reached. A rung that stands alone speaks for itself. */
export function reachedByNone(relay: URL, failures: ReadonlyMap<string, TowlineError>): TowlineError {
  const errors = [...failures.values()];
  if (errors.length === 1) return errors[0]!;
  const { code, hint } = mostTelling(errors);
  const said = describeRungs([...failures].map(([transport, { message }]) => [transport, message]));
  return new TowlineError(code, `No transport reaches the relay ${relay.host}. ${said}`, { hint, cause: new AggregateError(errors) });
}

function nameOf(transport: string): RungName {
  return NAMES[transport] ?? { label: transport, port: 'port' };
}

function shorten(text: string): string {
  // Half of a character that takes two code units is cut off as well.
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
