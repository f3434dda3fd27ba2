import type { Link } from '@towline/contract';
import type { ErrorCode } from '@towline/protocol';
import type { LinkCredential } from './link-credential.ts';

/** A client's live connection. */
export interface ClientLink {
  readonly credential: LinkCredential;
  readonly link: Link;
  readonly transport: string;
  readonly address: string;
  /** Tells the client why, then closes the link. */
  dismiss(code: ErrorCode, message: string): Promise<void>;
}

/** The client links of this relay. */
export type ClientRegistry = Set<ClientLink>;
