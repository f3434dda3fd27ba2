import type { JsonObject } from '@towline/protocol';
import type { Device, Principal, Role } from './model.ts';
import type { StandardSchema } from './plugin.ts';

/** What a stream handler may know about the opening it judges. */
export interface OpeningContext {
  readonly principal: Principal;
  readonly device: Device;
}

/** What the relay half makes of a client's open message. */
export interface PreparedOpening {
  /** What the device is asked, signed by the grant. */
  readonly body: JsonObject;
  /** What the audit record says. No secrets. */
  readonly audit: JsonObject;
  /**
   * Secrets that the user asks for, `NAME` or `SCOPE/NAME`, in the form of `secretWordsSchema`. The kernel looks them up, judges
   * whether they may be used, gives them to the device beside the body, and adds to the audit record which they were.
   */
  readonly secrets?: readonly string[];
}

/** Relay half of a stream plugin. */
export interface StreamHandler<Body = unknown> {
  /** Name and version, `/exec/1`. */
  readonly protocol: string;
  /** Schema of the body of the client's open message. */
  readonly body: StandardSchema<Body>;
  /** Role on the device that the opening needs. */
  readonly right: Role;
  /** What the record of a refused opening says of it. No secrets. Without it such a record names the device and the protocol alone. */
  describe?(body: Body): JsonObject;
  /** Builds what the device is asked. @throws TowlineError to refuse. */
  prepare(body: Body, context: OpeningContext): PreparedOpening;
}
