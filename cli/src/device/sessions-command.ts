import type { SessionView } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import type { Column } from '../output/table.ts';
import { jsonText, shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';
import { openRelay, type RelayAccess } from '../relay/access.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { SESSION } from '../relay/views.ts';

/** Fewest digits by which a session may be named. */
const SHORTEST_PREFIX = 4;

/** `towline DEVICE sessions` */
export function sessionsCommand(program: Program, device: string): Command {
  const command = new Command('sessions')
    .description('list the open sessions of the device, or end one')
    .option('--end <id>', 'end this session: its id, or an unambiguous beginning of it');
  return program.bind(command, async (context, { options }) => {
    using relay = await openRelay(context);
    const path = apiPath`/v1/devices/${device}/sessions`;
    const list = await readList<SessionView>(relay.api, { path, shape: SESSION, signal: context.host.signal });
    if (typeof options.end === 'string') await endSession(context, relay, pick(list.items, options.end));
    else if (context.output.json) context.output.document(list);
    else context.output.table(columns(context.host.now()), list.items, 'no open sessions');
    return undefined;
  });
}

async function endSession({ host, output }: Context, { api }: RelayAccess, session: SessionView): Promise<void> {
  await api.request('DELETE', apiPath`/v1/sessions/${session.id}`, { signal: host.signal });
  if (output.json) output.document({ ended: session.id });
  else output.line(`told the device to end session ${shown(session.id)} of ${shown(session.actor.label, 320)}`);
}

function pick(sessions: readonly SessionView[], text: string): SessionView {
  const matches = sessions.filter(({ id }) => id === text || (text.length >= SHORTEST_PREFIX && id.startsWith(text)));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) {
    throw new TowlineError('not_found', `The device has no open session “${shown(text, 80)}”.`, {
      hint: '`towline DEVICE sessions` lists those that are open.',
    });
  }
  const listed = matches.slice(0, 10).map(({ id, actor }) => `${shown(id)} (${shown(actor.label, 64)})`);
  throw new TowlineError('ambiguous', `“${shown(text, 80)}” fits more than one session: ${listed.join(', ')}.`);
}

function columns(now: number): readonly Column<SessionView>[] {
  return [
    { heading: 'SESSION', text: (session) => shown(session.id) },
    { heading: 'WHO', text: (session) => shown(session.actor.label, 64) },
    { heading: 'FROM', text: (session) => shown(session.address ?? '-', 64) },
    { heading: 'PROTOCOL', text: (session) => shown(session.protocol, 64) },
    { heading: 'OPENED', text: (session) => relativeText(session.opened_at, now) },
    { heading: 'DETAIL', text: (session) => shown(jsonText(session.detail ?? {}), 120) },
  ];
}
