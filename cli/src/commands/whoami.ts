import type { MeView } from '@towline/contract';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import { readMe } from '../login/me.ts';
import { shown } from '../output/terminal-text.ts';
import { timeText } from '../output/times.ts';
import { openRelay, type RelayAccess } from '../relay/access.ts';

/** `towline whoami` */
export function whoamiCommand(program: Program): Command {
  const command = new Command('whoami').description('show who the relay takes you for');
  return program.bind(command, async (context) => {
    using relay = await openRelay(context);
    const me = await readMe(relay.api, context.host.signal);
    if (context.output.json) context.output.document({ ...me, relay: relay.url.origin });
    else printMe(context, me, relay);
    return undefined;
  });
}

function printMe({ output }: Context, me: MeView, { url, credential }: RelayAccess): void {
  const limited = (names: readonly string[] | null | undefined) => (names ? names.map((name) => shown(name)).join(', ') || 'none' : null);
  output.fields([
    ['user', shown(me.label, 320)],
    ['e-mail', me.email === null || me.email === me.label ? null : shown(me.email, 320)],
    ['no e-mail', me.email === null && me.email_note ? shown(me.email_note, 300) : null],
    ['id', shown(me.id, 500)],
    ['relay', url.origin],
    ['platform admin', me.admin ? 'yes' : null],
    ['scopes', me.scopes.map(({ scope, role }) => `${shown(scope, 320)} (${shown(role)})`).join(', ')],
    ['streams', limited(me.streams)],
    ['devices', limited(me.devices)],
    ['key', me.key_id === null ? null : shown(me.key_id)],
    ['expires', me.expires_at === null ? null : `${timeText(me.expires_at)}${credential.renewable ? ', renewed by itself' : ''}`],
    ['known by', shown(me.provider)],
  ]);
}
