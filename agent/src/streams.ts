import type { DeviceHandler } from '@towline/contract';

/** What of device.yaml streams go by. */
export interface StreamSettings {
  /** Targets of forwards that are allowed. */
  readonly allow: readonly string[];
}

/** Packages of the streams that come with the runtime, loaded when they are to be served. */
const BUILT_IN: Readonly<Record<string, (settings: StreamSettings) => Promise<DeviceHandler>>> = Object.freeze({
  exec: async () => (await import('@towline/stream-exec/device')).handler as DeviceHandler,
  files: async () => (await import('@towline/stream-files/device')).handler as DeviceHandler,
  forward: async ({ allow }) => (await import('@towline/stream-forward/device')).createHandler(allow) as DeviceHandler,
  shell: async () => (await import('@towline/stream-shell/device')).handler as DeviceHandler,
});

/** Names of the streams a runtime can serve. */
export const BUILT_IN_STREAMS: readonly string[] = Object.freeze(Object.keys(BUILT_IN));

/** Loads the handlers of the named streams, by protocol name. Names are checked where device.yaml is read. */
export async function loadHandlers(names: readonly string[], settings: StreamSettings): Promise<ReadonlyMap<string, DeviceHandler>> {
  const handlers = new Map<string, DeviceHandler>();
  for (const name of names) {
    const handler = await BUILT_IN[name]!(settings);
    handlers.set(handler.protocol, handler);
  }
  return handlers;
}

/** What is wrong with an entry of the allowed targets; null when nothing is. */
export async function allowFault(entry: string): Promise<string | null> {
  const { parseAllowPattern } = await import('@towline/stream-forward/device');
  const read = parseAllowPattern(entry);
  return typeof read === 'string' ? read : null;
}
