// Dials as a device does, in a process that has a hosts file of its own. Takes the dials as JSON, prints what came of them.
import { createQuicDial } from '@towline/transport-quic/dial';
import { createTlsDial, createWebSocketDial } from '@towline/transport-tls/dial';

const host = { environment: {}, warn: () => undefined };
const dials = { quic: createQuicDial(host), tls: createTlsDial(host), websocket: createWebSocketDial(host) };
const [, , text] = process.argv;
const outcomes = [];
for (const { transport, url, trust, credential } of JSON.parse(text)) {
  const header = { header: 'X-API-Key', value: credential };
  const { signal } = new AbortController();
  try {
    const link = await dials[transport].dial({ relay: new URL(url), role: 'device', credential: header, trust, signal });
    await link.close('link_closed', 'The test is over.');
    outcomes.push({ verdict: 'linked', message: '' });
  } catch ({ code, message }) {
    outcomes.push({ verdict: code, message });
  }
}
process.stdout.write(JSON.stringify(outcomes));
