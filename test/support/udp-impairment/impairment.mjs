export { createImpairedPair, followClock } from './pair.mjs';
export { openUdpImpairment } from './proxy.mjs';
export { findDifference } from './record.mjs';
