/**
 * A bottleneck: a token bucket with a queue in front of it that takes so many bytes and drops what comes on top.
 * It keeps one number, the moment at which everything it took will have passed, so its queue costs no memory.
 */
export function createBottleneck() {
  let freeAtMs = Number.NEGATIVE_INFINITY;
  /** When a packet that comes now has passed, in milliseconds of the same clock; null when it is dropped. */
  return (nowMs, packetBytes, { bytesPerMs, queueBytes, burstBytes, overheadBytes }) => {
    const bytes = packetBytes + overheadBytes;
    const waitingBytes = Math.max(0, (freeAtMs - nowMs) * bytesPerMs);
    if (waitingBytes > 0 && waitingBytes + bytes > queueBytes) return null;
    // Tokens saved up in silence count as time at which the bottleneck was free already.
    freeAtMs = Math.max(freeAtMs, nowMs - burstBytes / bytesPerMs) + bytes / bytesPerMs;
    return Math.max(nowMs, freeAtMs);
  };
}
