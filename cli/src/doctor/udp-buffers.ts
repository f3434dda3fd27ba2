import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Finding, ok, skipped, warning } from './finding.ts';

/** Where Linux says how large the buffers of sockets may be made. */
const LINUX_LIMITS = '/proc/sys/net/core';
/** What QUIC asks for, bytes: what arrives on a fast path while the process is busy for some milliseconds. */
const WANTED_BYTES = 2 * 1_024 * 1_024;
const NAMES = Object.freeze(['rmem_max', 'wmem_max'] as const);

/** Looks how large the kernel lets the buffers of UDP sockets be. */
export function checkUdpBuffers(): Promise<Finding> {
  return judgeUdpBuffers(LINUX_LIMITS);
}

/** The same by the files of a folder, each a number of bytes: `rmem_max` and `wmem_max`. */
export async function judgeUdpBuffers(folder: string): Promise<Finding> {
  const limits = await Promise.all(NAMES.map(async (name) => ({ name, bytes: await readLimit(join(folder, name)) })));
  if (limits.some(({ bytes }) => Number.isNaN(bytes))) return skipped('This system does not tell how large buffers for UDP may be.');
  const low = limits.filter(({ bytes }) => bytes < WANTED_BYTES);
  if (low.length === 0) return ok('The system allows large buffers for UDP.');
  const found = low.map(({ name, bytes }) => `${name} is ${Math.floor(bytes / 1_024)} KiB`).join(', ');
  const setting = low.map(({ name }) => `net.core.${name}=${WANTED_BYTES}`).join(' ');
  return warning(
    `The system allows small buffers for UDP only (${found}), so QUIC loses packets on fast networks.`,
    `Run \`sysctl -w ${setting}\` as root, and write it into /etc/sysctl.d/ to keep it.`,
  );
}

async function readLimit(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\d+\s*$/.test(text) ? Number(text) : Number.NaN;
}
