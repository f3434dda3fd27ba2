/** Figures of one forward. */
export interface Statistics {
  /** Connections accepted here, or flows begun. */
  connections: number;
  /** Of these, those that could not be opened on the device or broke. */
  failures: number;
  bytesToDevice: number;
  bytesFromDevice: number;
  /** Datagrams that were dropped because one side did not keep up. */
  dropped: number;
}

/** Figures before anything happened. */
export function noStatistics(): Statistics {
  return { connections: 0, failures: 0, bytesToDevice: 0, bytesFromDevice: 0, dropped: 0 };
}
