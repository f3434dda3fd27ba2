import { checkApi } from './api.ts';
import { checkClock } from './clock.ts';
import { checkDevice } from './device.ts';
import { checkDns } from './dns.ts';
import type { Finding } from './finding.ts';
import { checkLink } from './link.ts';
import { checkLogin } from './login.ts';
import { checkPermissions } from './permissions.ts';
import { checkProxy } from './proxy.ts';
import { checkPty } from './pty.ts';
import { checkRelay } from './relay.ts';
import type { Check } from './run-checks.ts';
import type { Subject } from './subject.ts';
import { checkTcp } from './tcp.ts';
import { checkTls } from './tls.ts';
import { checkUdp } from './udp.ts';
import { checkUdpBuffers } from './udp-buffers.ts';

/** Time for what stays on this machine, milliseconds. */
const LOCAL_MS = 5_000;
/** Time for one exchange with the network, milliseconds: two losses on a slow line. */
const EXCHANGE_MS = 5_000;
/** Time for a QUIC handshake, milliseconds: where UDP is dropped, as is common, this is what one waits for. */
const HANDSHAKE_MS = 4_000;
/** Time for connecting anew, with TLS, and asking something, milliseconds. */
const REQUEST_MS = 8_000;

interface Row extends Omit<Check, 'run'> {
  readonly run: (subject: Subject, signal: AbortSignal) => Promise<Finding | readonly Finding[]>;
}

/** Everything that is checked, each after what it builds upon. */
const ROWS: readonly Row[] = Object.freeze([
  { name: 'permissions', needs: [], deadlineMs: LOCAL_MS, run: checkPermissions },
  { name: 'relay', needs: [], deadlineMs: LOCAL_MS, run: checkRelay },
  { name: 'proxy', needs: ['relay'], deadlineMs: EXCHANGE_MS, run: checkProxy },
  { name: 'dns', needs: ['relay'], deadlineMs: EXCHANGE_MS, run: checkDns },
  { name: 'tcp', needs: ['proxy', 'dns'], deadlineMs: EXCHANGE_MS, run: checkTcp },
  { name: 'tls', needs: ['tcp'], deadlineMs: REQUEST_MS, run: checkTls },
  { name: 'api', needs: ['tls'], deadlineMs: REQUEST_MS, run: checkApi },
  { name: 'clock', needs: ['api'], deadlineMs: REQUEST_MS, run: checkClock },
  { name: 'login', needs: ['api'], deadlineMs: REQUEST_MS, run: checkLogin },
  { name: 'device', needs: ['api'], deadlineMs: REQUEST_MS, run: checkDevice },
  { name: 'link', needs: ['login'], deadlineMs: REQUEST_MS, run: checkLink },
  // QUIC may get through where TCP or a proxy does not.
  { name: 'udp', needs: ['dns'], deadlineMs: HANDSHAKE_MS, run: checkUdp },
  { name: 'udp_buffers', needs: [], deadlineMs: LOCAL_MS, run: checkUdpBuffers },
  { name: 'pty', needs: [], deadlineMs: LOCAL_MS, run: checkPty },
]);

/** The checks of a subject, in the order in which they are shown. */
export function checksOf(subject: Subject): readonly Check[] {
  return ROWS.map((row) => ({ ...row, run: (signal) => row.run(subject, signal) }));
}
