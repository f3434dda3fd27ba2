/** What both halves put into the Upgrade header (RFC 9110 section 7.8). */
export const UPGRADE_TOKEN = 'towline/1';

/** Whether an Upgrade header names the link protocol, and nothing else. */
export function isUpgradeToken(header: string | undefined): boolean {
  return header?.trim().toLowerCase() === UPGRADE_TOKEN;
}
