import { type DeviceLink, type DeviceRegistry, isInUse } from './registry.ts';

/** Time between two looks, milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Looks in a row that must find nothing: what the device says about the end of the last session is on its way then. */
const QUIET_LOOKS = 3;

/**
 * Ends a link from which a newer one took over, once no stream but its control stream is open on it. It is left alone
 * when the newer one goes first and it is the device's link again.
 */
export function retire(link: DeviceLink, registry: DeviceRegistry): void {
  let quiet = 0;
  const timer = setInterval(() => {
    if (!registry.isRetiring(link)) return clearInterval(timer);
    quiet = isInUse(link) ? 0 : quiet + 1;
    if (quiet < QUIET_LOOKS) return;
    clearInterval(timer);
    // First: it must not be taken for the device's link while it says goodbye.
    registry.remove(link);
    void link.dismiss('link_closed', 'A newer connection of this device took over, and nothing uses this one any more.');
  }, LOOK_EVERY_MS);
  timer.unref();
  void link.link.closed.then(() => clearInterval(timer));
}
