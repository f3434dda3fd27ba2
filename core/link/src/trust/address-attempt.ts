/**
 * Time an address of a name is given before the next is tried, milliseconds. Node's 250 are less than one round
 * trip on a satellite or mobile link, and an attempt that is passed over is given up for good.
 */
export const ADDRESS_ATTEMPT_MS = 2_500;
