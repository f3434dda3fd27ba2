import type { UserCredentials } from '@towline/config/user-files';
import type { RelayCredential } from '@towline/link';

/** A login that somebody gave out and the relay has not seen yet. */
export interface ObtainedLogin {
  readonly credential: RelayCredential;
  /** What is kept of it. */
  readonly stored: UserCredentials;
  /** Takes it back, when the relay does not accept it. Never rejects. */
  undo?(): Promise<void>;
}
