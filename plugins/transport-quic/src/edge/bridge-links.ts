import type { ByteStream, Link, LinkEnd } from '@towline/contract';
import { joinStreams } from '@towline/link';
import { toTowlineError } from '@towline/protocol';

/** Time for streams that are complete on a link that is over to reach the other link, milliseconds. */
const DELIVERY_MS = 2_000;
/** Time for the last frames of a link whose other side is over, milliseconds. */
const GOODBYE_MS = 1_000;

/** Two links of which one is led on by the other. */
export interface LinksToBridge {
  /** Whose peer opens streams. */
  readonly from: Link;
  /** On which they are opened as well. */
  readonly to: Link;
  /** Which of them leads to the relay. */
  readonly toRelay: Link;
  /** Ends that one without a word. */
  readonly hangUp: () => void;
}

/**
 * Makes one link of two: each stream that is opened on one is opened on the other with the same head, and the two are
 * joined; what ends one link ends the other with the same code and text, and one that is lost is lost. Resolves when
 * both are over; never rejects. Call it in the turn in which the links were made.
 */
export async function bridgeLinks({ from, to, toRelay, hangUp }: LinksToBridge): Promise<LinkEnd> {
  const joins = new Set<Promise<unknown>>();
  let over = false;
  from.onStream((stream) => {
    const opened = openLike(stream, to);
    if (opened === null) return;
    const join = joinStreams(stream, opened, {
      reset(left, error) {
        joins.delete(join);
        // Streams break just before their link says that it is over. What they brought goes out then as on any link that
        // is closed: first what is queued, then the reason. A reset would drop it.
        setImmediate(() => over || left.destroy(error));
      },
    });
    joins.add(join);
    void join.then(() => joins.delete(join));
  });
  const [end, other] = await Promise.race([from.closed.then((end) => [end, to] as const), to.closed.then((end) => [end, from] as const)]);
  over = true;
  // What the peer completed before it left may still wait here for a slow reader.
  await settledWithin(joins, DELIVERY_MS);
  if (end.by === 'lost' && other === toRelay) hangUp();
  else await other.close(end.code, end.message, GOODBYE_MS);
  await other.closed;
  return end;
}

/** Opens a stream with the head of another, which is reset when that is not possible. */
function openLike(stream: ByteStream, link: Link): ByteStream | null {
  try {
    return link.openStream(stream.head);
  } catch (error) {
    stream.destroy(toTowlineError(error));
    return null;
  }
}

async function settledWithin(joins: ReadonlySet<Promise<unknown>>, ms: number): Promise<void> {
  if (joins.size === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.all(joins), late]);
  clearTimeout(timer);
}
