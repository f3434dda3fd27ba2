/** Behind the name of a device in a host name of OpenSSH. */
const SUFFIX = '.towline';

/**
 * Hosts whose connections go through the relay. OpenSSH puts the name of the host into a command line of the user's shell, within
 * single quotes: one that holds such a quote is left to OpenSSH, which does not find it.
 */
export const HOST_PATTERNS: readonly string[] = Object.freeze([`*${SUFFIX}`, `"!*'*"`]);

/** The device that a host name of OpenSSH stands for; what has no suffix is the device itself. */
export function deviceOfHost(host: string): string {
  return host.toLowerCase().endsWith(SUFFIX) ? host.slice(0, -SUFFIX.length) : host;
}
