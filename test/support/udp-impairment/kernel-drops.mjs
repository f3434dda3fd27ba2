import { readFileSync } from 'node:fs';

/**
 * Datagrams the kernel threw away because a socket's receive buffer was full, for all UDP sockets on these local
 * ports; null where the kernel does not tell (anything but Linux).
 */
export function readKernelDrops(ports) {
  const wanted = new Set(ports);
  let drops = 0;
  for (const file of ['/proc/net/udp', '/proc/net/udp6']) {
    const text = read(file);
    if (text === null) return null;
    for (const line of text.trim().split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/);
      if (wanted.has(Number.parseInt(columns[1].split(':')[1], 16))) drops += Number(columns.at(-1));
    }
  }
  return drops;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
