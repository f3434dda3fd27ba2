import type { Readable, Writable } from 'node:stream';

/**
 * Writes what the session brings to a stream of this program, at the pace of that stream, and leaves it open. Resolves when
 * everything was written, or the session broke, which its own result tells. Rejects with the stream's error.
 */
export async function copyOutput(source: Readable, sink: Writable): Promise<void> {
  const ignore = () => {};
  // Each write is called back; without a listener the same error would also end the process.
  sink.on('error', ignore);
  let failure: unknown = null;
  try {
    for await (const chunk of source) {
      await writeTo(sink, chunk as Buffer).catch((error: unknown) => {
        failure = error;
        throw error;
      });
    }
  } catch {
    // The listener stays on a stream that failed: its error event may be still to come.
    if (failure !== null) throw failure;
  }
  sink.off('error', ignore);
}

function writeTo(sink: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => sink.write(bytes, (error) => (error ? reject(error) : resolve())));
}
