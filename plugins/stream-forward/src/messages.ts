import { z } from 'zod';

/** Protocol of the stream: one forwarded connection, or one flow of datagrams. */
export const FORWARD_PROTOCOL = '/forward/1';
/** Ranges that one check may ask about: a command line has no more targets. */
export const MAX_CHECKED = 64;

/** Ports of all its ranges together: each is judged by itself. */
export const MAX_CHECKED_PORTS = 2_048;

/** Longest host in a message, characters: a name in any script is longer before it is put into ASCII. */
const host = z.string().min(1).max(1_012);
const port = z.int().min(1).max(65_535);
const path = z.string().min(1).max(4_096);
const unix = z.strictObject({ kind: z.literal('unix'), path });

/** Where a connection goes. */
export const targetSchema = z.union([z.strictObject({ kind: z.enum(['tcp', 'udp']), host, port }), unix]);

/** Ports of one host that are about to be forwarded. */
export const targetRangeSchema = z.union([z.strictObject({ kind: z.enum(['tcp', 'udp']), host, port, last_port: port }), unix]);
/** See {@link targetRangeSchema}. */
export type TargetRange = z.infer<typeof targetRangeSchema>;

/**
 * Body of the open message: the target of a connection, or targets of which a client asks, before it listens for
 * connections, whether they are allowed. The relay passes the host on in one form of many.
 */
export const forwardBodySchema = z.union([
  z.strictObject({ target: targetSchema }),
  z.strictObject({
    check: z
      .array(targetRangeSchema)
      .max(MAX_CHECKED)
      .refine((ranges) => countPorts(ranges) <= MAX_CHECKED_PORTS, `at most ${MAX_CHECKED_PORTS} ports at once`),
  }),
]);
/** See {@link forwardBodySchema}. */
export type ForwardBody = z.infer<typeof forwardBodySchema>;

/** Ports of ranges; one that ends before it begins counts as too many. */
function countPorts(ranges: readonly TargetRange[]): number {
  return ranges.reduce((count, range) => count + (range.kind === 'unix' ? 1 : portsOf(range)), 0);
}

function portsOf({ port: first, last_port: last }: Extract<TargetRange, { port: number }>): number {
  return last < first ? Number.POSITIVE_INFINITY : last - first + 1;
}
