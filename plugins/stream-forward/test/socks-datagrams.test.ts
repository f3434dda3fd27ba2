import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { Flows } from '../src/client/flows.ts';
import { serveAssociation } from '../src/client/socks-datagrams.ts';
import { noStatistics } from '../src/client/statistics.ts';

const flows: Flows = { send() {}, end() {}, close() {} };
const reported = { places: [], target: 'any target', protocol: 'socks5', statistics: noStatistics() };

/** A connection of a program that has left: by a reset, or by its end. */
async function leftBehind(leave: (program: Socket) => void): Promise<{ control: Socket; program: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const program = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const [control] = (await once(server, 'connection')) as [Socket];
  control.on('error', () => {}).resume();
  server.close();
  const gone = new Promise<void>((resolve) => control.once('end', resolve).once('close', () => resolve()));
  leave(program);
  await gone;
  return { control, program };
}

it.each<[string, (program: Socket) => void]>([
  ['a reset', (program) => program.resetAndDestroy()],
  ['its end', (program) => program.end()],
])('an association for a program that has left before it stands, by %s, is over at once', async (_how, leave) => {
  const { control, program } = await leftBehind(leave);
  await serveAssociation(control, { host: '0.0.0.0', port: 0 }, { flows, reported, id: 'socks 1' });
  expect(control.destroyed).toBe(true);
  program.destroy();
});
