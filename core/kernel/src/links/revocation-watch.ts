import type { Log, Revocation, RevocationRepository } from '@towline/contract';
import { type ErrorCode, isErrorCode } from '@towline/protocol';
import type { ClientRegistry } from './clients.ts';
import type { DeviceRegistry } from './registry.ts';

/** Time between two looks at the store, milliseconds: access must end within a second of its revocation. */
const LOOK_EVERY_MS = 400;

/** What the watch works with. */
export interface RevocationWatchParts {
  readonly revocations: RevocationRepository;
  readonly registry: DeviceRegistry;
  readonly clients: ClientRegistry;
  readonly log: Log;
  /** Called at each look, for other things that the rescue command may change. */
  readonly alsoLook?: () => Promise<void>;
}

/** Ends the live links of what was revoked, by whatever process. */
export interface RevocationWatch extends AsyncDisposable {
  /** Looks now instead of in a moment. */
  look(): Promise<void>;
}

/** Starts to watch, from the last revocation on that the store has now. */
export async function watchRevocations(parts: RevocationWatchParts): Promise<RevocationWatch> {
  let last = await parts.revocations.last();
  let looking: Promise<void> | null = null;
  const look = async () => {
    for (let found = await parts.revocations.listAfter(last); found.length > 0; found = await parts.revocations.listAfter(last)) {
      for (const revocation of found) enforce(parts, revocation);
      last = found.at(-1)!.number;
    }
    await parts.alsoLook?.();
  };
  const lookOnce = () => {
    looking ??= look()
      .catch((error: unknown) => parts.log.error('revocations could not be read', { error }))
      .finally(() => {
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

function enforce({ registry, clients, log }: RevocationWatchParts, { kind, id, code, message }: Revocation): void {
  const known: ErrorCode = isErrorCode(code) ? code : 'session_ended';
  for (const device of registry.all()) {
    if (kind === 'device' ? device.device.id === id : device.line.keyIds.has(id)) void device.dismiss(known, message);
  }
  if (kind === 'key') for (const client of clients) if (client.principal.keyId === id) void client.dismiss(known, message);
  log.info('access was revoked', { kind, id, code: known });
}
