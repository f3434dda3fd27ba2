/** Whether this process is root. Never on Windows. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
