// The UDP impairment proxy as a program of its own, so that a benchmark's event loop and the proxy's do not wait for each other:
//   node bench/support/udp-impairment-process.mjs '{"seed":1,"target":{"host":"127.0.0.1","port":4433},"up":{"loss":0.01}}'
// It prints a line of JSON when it is ready, and one for every line of JSON it reads: {"do":"statistics"}, {"do":"rebind","with":[{}]},
// {"do":"blackHole","with":[true,"up"]}, {"do":"change","with":["up",{"delayMs":50}]}, {"do":"decisions"}. It ends with its input.
import { createInterface } from 'node:readline';
import { openUdpImpairment } from '../../test/support/udp-impairment/impairment.mjs';

const ORDERS = ['statistics', 'rebind', 'blackHole', 'change', 'decisions'];
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function obey(proxy, line) {
  const { do: order, with: words = [] } = JSON.parse(line);
  if (!ORDERS.includes(order)) throw new TypeError(`no order ${order}; there are: ${ORDERS.join(', ')}`);
  const value = (await proxy[order](...words)) ?? null;
  if (order !== 'statistics') return value;
  const { user, system } = process.cpuUsage();
  return { ...value, process: { cpuMs: (user + system) / 1_000, residentBytes: process.memoryUsage.rss() } };
}

const proxy = await openUdpImpairment(JSON.parse(process.argv[2] ?? '{}')).catch((error) => {
  console.error(`The proxy cannot start: ${error.message}.`);
  process.exit(2);
});
answer({ local: proxy.local });
process.on('SIGINT', () => process.stdin.destroy());
process.on('SIGTERM', () => process.stdin.destroy());
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answer({ value: await obey(proxy, line) });
  } catch (error) {
    answer({ error: error.message });
  }
}
await proxy.close();
