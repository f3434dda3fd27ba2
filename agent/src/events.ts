import { printable, type TowlineError } from '@towline/protocol';

/** What a runtime tells whoever watches it. With --json each is one line on standard output. */
export type RuntimeEvent =
  | {
      readonly event: 'waiting';
      readonly request: string;
      readonly fingerprint: string;
      readonly owner: string;
      readonly expires_at: string;
    }
  | { readonly event: 'enrolled'; readonly device: string; readonly name: string }
  /** Also when a better transport took over. `note`: why no better one is used. */
  | { readonly event: 'online'; readonly relay: string; readonly transport: string; readonly note?: string }
  | { readonly event: 'offline'; readonly code: string; readonly message: string; readonly retry_ms: number }
  | { readonly event: 'stopped'; readonly code: string; readonly message: string };

/** Takes the events of a runtime. */
export type EventSink = (event: RuntimeEvent) => void;

/** Where a runtime's output goes. */
export interface EventOutput {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly json: boolean;
}

/** People read standard error; programs, with --json, also one line of JSON an event on standard output. */
export function createEventSink(output: EventOutput): EventSink {
  return (event) => {
    if (output.json) output.stdout(`${JSON.stringify(event)}\n`);
    output.stderr(`${describeEvent(event)}\n`);
  };
}

/** The event that says why a runtime stopped. */
export function stoppedBy(error: Pick<TowlineError, 'code' | 'message'>): RuntimeEvent {
  return { event: 'stopped', code: error.code, message: error.message };
}

/** An event as text for a person. What the relay said is made safe for a terminal. */
export function describeEvent(event: RuntimeEvent): string {
  switch (event.event) {
    case 'waiting':
      return describeWaiting(event);
    case 'enrolled':
      return `Enrolled as “${printable(event.name)}” (device ${printable(event.device)}).`;
    case 'online':
      return [`Online at ${event.relay} over ${event.transport}.`, ...(event.note === undefined ? [] : [printable(event.note)])].join(' ');
    case 'offline':
      return `Offline: ${printable(event.message)} Trying again in ${(event.retry_ms / 1_000).toFixed(1)} s.`;
    case 'stopped':
      return `Stopped: ${printable(event.message)}`;
  }
}

function describeWaiting(event: Extract<RuntimeEvent, { event: 'waiting' }>): string {
  const [request, owner, expires] = [event.request, event.owner, event.expires_at].map(printable);
  return [
    'Waiting for approval.',
    `  request      ${request}`,
    `  fingerprint  ${event.fingerprint}`,
    `  owner        ${owner}`,
    `  expires      ${expires}`,
    'An admin of that owner compares the fingerprint with the one in `towline devices list --pending` and runs:',
    `  towline devices approve ${request}`,
  ].join('\n');
}
