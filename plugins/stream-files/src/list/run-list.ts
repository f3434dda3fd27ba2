import type { CliHost, CliInvocation } from '@towline/contract';
import { printable, TowlineError } from '@towline/protocol';
import { converse } from '../copy/attempt.ts';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import { faultText } from '../tree/file-fault.ts';
import { shownPath } from '../tree/names.ts';
import { Frame } from '../wire/frames.ts';
import { readFrames } from '../wire/read-frames.ts';
import { decodeFrame, type Listed, listedSchema, omittedSchema } from '../wire/schemas.ts';
import { jsonItem, longLines } from './list-lines.ts';

/** Things in one folder that are listed: sorting needs all of them at once. */
const MAX_LISTED = 200_000;
const DOT = 0x2e;

/** Lists a folder of a device. Resolves with the exit code. @throws TowlineError. */
export async function runList({ device, args, options }: CliInvocation, host: CliHost): Promise<number> {
  if (args.length > 1) throw new TowlineError('usage', 'One path is listed at a time.', { hint: 'Quote a path that holds spaces.' });
  const path = args[0] ?? '';
  const { items, failed } = await readList(host, { device, path });
  const shown = items
    .filter(({ name }) => options.all === true || name[0] !== DOT || items.length === 1)
    .sort((left, right) => Buffer.compare(left.name, right.name));
  if (host.json) host.stdout.write(`${JSON.stringify({ items: shown.map(jsonItem), next: null }, null, 2)}\n`);
  else
    for (const line of options.long === true ? longLines(shown) : shown.map(({ name }) => shownPath(name))) host.stdout.write(`${line}\n`);
  for (const { name, code } of failed) host.stderr.write(`towline: ${shownPath(name)}: ${faultText(code)}\n`);
  return failed.length > 0 ? 1 : 0;
}

interface List {
  readonly items: Listed[];
  readonly failed: { readonly name: Buffer; readonly code: string }[];
}

async function readList(host: CliHost, { device, path }: { device: string; path: string }): Promise<List> {
  const body: FilesBody = { operation: 'list', path };
  const { session } = await host.openSession(FILES_PROTOCOL, body);
  const list: List = { items: [], failed: [] };
  await converse(session, { host, place: `${device}:${path}` }, async () => {
    let isListed = false;
    for await (const { type, payload } of readFrames(session.input(0))) {
      if (type === Frame.listing) list.items.push(decodeFrame(listedSchema, payload));
      else if (type === Frame.omitted) list.failed.push(decodeFrame(omittedSchema, payload));
      else if (type === Frame.listed) isListed = true;
      else throw new TowlineError('protocol_error', `The peer sent a frame of type ${type} in a list.`);
      if (list.items.length + list.failed.length > MAX_LISTED) throw tooMany(path);
    }
    if (!isListed) throw new TowlineError('session_broken');
  });
  return list;
}

function tooMany(path: string): TowlineError {
  return new TowlineError('too_large', `${printable(path)} holds more than ${MAX_LISTED} files.`, {
    hint: 'Run `ls` there by `towline DEVICE exec`.',
  });
}
