import { definePlugin } from '@towline/contract';
import { type JsonObject, TowlineError } from '@towline/protocol';
import { z } from 'zod';
import { FORWARD_PROTOCOL, type ForwardBody, forwardBodySchema, type TargetRange } from './messages.ts';
import { type AllowList, createAllowList } from './target/allow-list.ts';
import { parseAllowPattern } from './target/allow-pattern.ts';
import { formatHost } from './target/host.ts';
import { type NetworkTarget, readTarget, type Target, type TargetMessage, targetMessage, targetText } from './target/target.ts';

/** What a relay allows that was not told: everything that a wildcard can mean. The device has the last word, and allows itself alone. */
const DEFAULT_ALLOW: readonly string[] = Object.freeze(['*:*', 'unix:*']);

const allowEntry = z.string().superRefine((text, context) => {
  const fault = parseAllowPattern(text);
  if (typeof fault === 'string') context.addIssue({ code: 'custom', message: fault });
});

/** Options of the stream in the config of the relay. */
export const optionsSchema = z.strictObject({
  allow: z
    .array(allowEntry)
    .default([...DEFAULT_ALLOW])
    .describe('Targets that may be asked for, as they are written: HOST:PORTS or unix:PATH'),
});

/** Relay half: judges each target as it is written, has the grant bound to it, and names it in the audit. */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'forward',
  options: optionsSchema,
  create: ({ allow }) => {
    const list = createAllowList(allow);
    return {
      protocol: FORWARD_PROTOCOL,
      body: forwardBodySchema,
      right: 'operator',
      describe,
      prepare: (body: ForwardBody) => ({ body: judge(body, list), audit: describe(body) }),
    };
  },
});

function describe(body: ForwardBody): JsonObject {
  if ('check' in body) return { check: body.check.map(rangeText) };
  const { target } = body;
  if (target.kind === 'unix') return { forward: 'unix', path: target.path };
  return { forward: target.kind, host: target.host, port: target.port };
}

function rangeText(range: TargetRange): string {
  if (range.kind === 'unix') return range.path;
  return `${targetText(range)}${range.last_port === range.port ? '' : ` to ${range.last_port}`}`;
}

function judge(body: ForwardBody, list: AllowList): ForwardBody & JsonObject {
  if ('target' in body) return { target: targetMessage(requireAllowed(body.target, list)) };
  const check = body.check.map((range) => {
    if (range.kind === 'unix') return targetMessage(requireAllowed(range, list)) as typeof range;
    const { last_port: last, ...first } = range;
    // Read and judged once: a range may have thousands of ports, and everybody waits for the relay meanwhile.
    const target = readTarget(first) as NetworkTarget;
    const allows = list.judgeWritten(target);
    for (let port = range.port; port <= last; port += 1) if (!allows(port)) throw notAllowed({ ...target, port });
    return { ...range, host: formatHost(target.host) };
  });
  return { check };
}

function requireAllowed(message: TargetMessage, list: AllowList): Target {
  const target = readTarget(message);
  if (list.allowsWritten(target)) return target;
  throw notAllowed(target);
}

function notAllowed(target: Target): TowlineError {
  const text = targetText(targetMessage(target));
  return new TowlineError('target_not_allowed', `This relay does not allow forwards to ${text}.`, {
    hint: `Its operator can list “${target.kind === 'unix' ? 'unix:' : ''}${text}” under \`allow\` of the stream \`forward\` in the config of the relay.`,
  });
}
