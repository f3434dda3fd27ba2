import {
  MAX_CONTROL_FRAMES_PER_SECOND,
  MAX_LINK_CREDIT_GROWTH,
  MAX_OPENINGS_PER_SECOND,
  MAX_STREAM_CREDIT,
  MAX_STREAMS_PER_LINK,
} from '@towline/protocol';

/** What one end of a link allows its peer, and itself. */
export interface LinkLimits {
  /** Streams open at once. */
  readonly maxStreams: number;
  /** Streams opened in a second, averaged over ten. */
  readonly openingsPerSecond: number;
  /** Frames without data in a second, averaged over ten. */
  readonly controlFramesPerSecond: number;
  /** Largest receive window of one stream, bytes. */
  readonly maxStreamCredit: number;
  /** Bytes that the windows of all streams may have grown by together. */
  readonly creditGrowth: number;
  /** Bytes received and not yet read, all streams together. Above it the stream that holds most is reset. */
  readonly maxUnreadBytes: number;
}

/** The limits of the wire, and memory for 512 streams whose initial window nobody reads. */
export const DEFAULT_LINK_LIMITS: LinkLimits = Object.freeze({
  maxStreams: MAX_STREAMS_PER_LINK,
  openingsPerSecond: MAX_OPENINGS_PER_SECOND,
  controlFramesPerSecond: MAX_CONTROL_FRAMES_PER_SECOND,
  maxStreamCredit: MAX_STREAM_CREDIT,
  creditGrowth: MAX_LINK_CREDIT_GROWTH,
  maxUnreadBytes: 134_217_728,
});
