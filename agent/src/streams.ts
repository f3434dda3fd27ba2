import type { DeviceHandler } from '@towline/contract';

/** Packages of the streams that come with the runtime, loaded when they are to be served. */
const BUILT_IN: Readonly<Record<string, () => Promise<{ readonly handler: DeviceHandler }>>> = Object.freeze({
  exec: () => import('@towline/stream-exec/device'),
  shell: () => import('@towline/stream-shell/device'),
});

/** Names of the streams a runtime can serve. */
export const BUILT_IN_STREAMS: readonly string[] = Object.freeze(Object.keys(BUILT_IN));

/** Loads the handlers of the named streams, by protocol name. Names are checked where device.yaml is read. */
export async function loadHandlers(names: readonly string[]): Promise<ReadonlyMap<string, DeviceHandler>> {
  const handlers = new Map<string, DeviceHandler>();
  for (const name of names) {
    const { handler } = await BUILT_IN[name]!();
    handlers.set(handler.protocol, handler);
  }
  return handlers;
}
