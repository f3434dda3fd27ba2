import type { AuditEvent, Clock, Log, Revocation, Store } from '@towline/contract';
import { type ErrorCode, isErrorCode } from '@towline/protocol';
import type { LiveAccess } from '../sessions/live-access.ts';
import type { ClientRegistry } from './clients.ts';
import { clearEndedShares } from './ended-shares.ts';
import type { DeviceRegistry } from './registry.ts';

/** Time between two looks at the store, milliseconds: access must end within a second of its revocation. */
const LOOK_EVERY_MS = 400;

/** What the watch works with. */
export interface RevocationWatchParts {
  readonly store: Pick<Store, 'revocations' | 'devices'>;
  readonly registry: DeviceRegistry;
  readonly clients: ClientRegistry;
  readonly access: LiveAccess;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at each look, for other things that the rescue command may change. */
  readonly alsoLook?: () => Promise<void>;
}

/** Ends the live links and sessions of what was revoked, by whatever process. */
export interface RevocationWatch extends AsyncDisposable {
  /** Looks now instead of in a moment. */
  look(): Promise<void>;
}

/** Starts to watch, from the last revocation on that the store has now. */
export async function watchRevocations(parts: RevocationWatchParts): Promise<RevocationWatch> {
  const steps = [() => clearEndedShares(parts), await createReading(parts), () => parts.access.enforce(), async () => parts.alsoLook?.()];
  const look = async () => {
    for (const step of steps)
      await step().catch((error: unknown) => parts.log.error('a look at what was revoked failed; it is repeated', { error }));
  };
  let looking: Promise<void> | null = null;
  const lookOnce = () => {
    looking ??= look().finally(() => {
      looking = null;
    });
    return looking;
  };
  const timer = setInterval(lookOnce, LOOK_EVERY_MS);
  return {
    // A look under way may have read before the change that the caller has in mind.
    look: async () => {
      await looking;
      await lookOnce();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

/** Reads what is new, and does or notes what has to be done; what it has read is not read again. */
async function createReading(parts: RevocationWatchParts): Promise<() => Promise<void>> {
  const { revocations } = parts.store;
  let last = await revocations.last();
  return async () => {
    for (let found = await revocations.listAfter(last); found.length > 0; found = await revocations.listAfter(last)) {
      for (const revocation of found) take(parts, revocation);
      last = found.at(-1)!.number;
    }
  };
}

function take({ registry, clients, access, log }: RevocationWatchParts, revocation: Revocation): void {
  const { kind, id, code, message } = revocation;
  const known: ErrorCode = isErrorCode(code) ? code : 'session_ended';
  for (const device of registry.all()) {
    const touched = kind === 'device' ? device.device.id === id : kind === 'key' && device.line.keyIds.has(id);
    if (touched) void device.dismiss(known, message);
  }
  for (const client of clients) {
    const { claimed } = client.credential;
    const touched = kind === 'key' ? claimed.keyId === id : kind === 'user' && claimed.id === id;
    if (touched) void client.dismiss(known, message);
  }
  // Kept until it is judged, so that nothing is lost when the store fails in between.
  access.note(revocation);
  log.info('access was revoked', { kind, id, code: known });
}
