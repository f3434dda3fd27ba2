import type { Link, Principal } from '@towline/contract';
import type { ErrorCode } from '@towline/protocol';

/** A client's live connection. */
export interface ClientLink {
  readonly principal: Principal;
  readonly link: Link;
  readonly transport: string;
  readonly address: string;
  /** Tells the client why, then closes the link. */
  dismiss(code: ErrorCode, message: string): Promise<void>;
}

/** The client links of this relay. */
export type ClientRegistry = Set<ClientLink>;
