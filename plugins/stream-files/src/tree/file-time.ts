/** A time for Node's utimes, from milliseconds. Seconds keep the fraction; before 1970 Node takes a Date only. */
export function timeOf(ms: number): number | Date {
  return ms < 0 ? new Date(ms) : ms / 1_000;
}

/** Farthest times that are told a peer, milliseconds: what a Date holds. Some file systems keep later ones. */
export const FARTHEST_TIME_MS = 8.64e15;

/** A time as it is told a peer. */
export function toldTime(ms: number): number {
  return Math.min(Math.max(ms, -FARTHEST_TIME_MS), FARTHEST_TIME_MS);
}

/** Times closer than this are the same, milliseconds: a time goes through a number of seconds with a fraction, and some file systems cut it. */
const SAME_TIME_MS = 0.01;

/** Whether a file that was given a time has it. */
export function isTime(found: number, given: number): boolean {
  return Math.abs(found - given) < SAME_TIME_MS;
}
