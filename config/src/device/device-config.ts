import type { Scope } from '@towline/protocol';
import type { Fault, KeyPath } from '../faults/fault.ts';

/** What a device serves and whom it belongs to, checked, with defaults filled in. */
export interface DeviceConfig {
  /** Absolute path of device.yaml; absent when there is none. */
  readonly file?: string;
  /** Origin of the relay, `https://HOST[:PORT]`. */
  readonly relay?: string;
  /** Scope under which the device asks to be enrolled. */
  readonly owner?: Scope;
  /** Name under which the device asks to be enrolled. */
  readonly name?: string;
  /** Names of the streams that the device serves, each once. */
  readonly streams: readonly string[];
  /** Targets that may be forwarded to, as they are written; absent: what the runtime allows by itself. */
  readonly allow?: readonly string[];
  /** User that shells and commands run as. */
  readonly runAs?: string;
  readonly limits: {
    /** Sessions that may live at once, forwarded connections apart. */
    readonly sessions: number;
    /** Forwarded connections that may be open at once. */
    readonly connections: number;
  };
  /** A fault with the file and line of a path. */
  faultAt(path: KeyPath, expected: string, found?: string): Fault;
}
