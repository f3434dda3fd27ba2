import type { Log } from '@towline/contract';
import type { EdgeUp } from '../edge/edge-messages.ts';

/** Buffer that a busy edge needs, bytes: what arrives in some dozens of milliseconds at 1 Gbit/s. */
const ENOUGH_BYTES = 4_194_304;

/** Says once when the kernel gave the edge's socket much less than was asked for. */
export function createBufferAdvice(log: Log) {
  let said = false;
  return ({ receive_buffer_bytes: receive, send_buffer_bytes: send }: EdgeUp): void => {
    if (said || Math.min(receive, send) >= ENOUGH_BYTES) return;
    said = true;
    const advice =
      process.platform === 'linux'
        ? 'set net.core.rmem_max and net.core.wmem_max to 8388608 (sysctl) and start the relay again'
        : 'allow larger socket buffers in the settings of this system and start the relay again';
    log.info(`the system allows QUIC small socket buffers only, which costs speed with fast or many links: ${advice}`, {
      receive_buffer_bytes: receive,
      send_buffer_bytes: send,
    });
  };
}
