/** A time for Node's utimes, from milliseconds. Seconds keep the fraction; before 1970 Node takes a Date only. */
export function timeOf(ms: number): number | Date {
  return ms < 0 ? new Date(ms) : ms / 1_000;
}
