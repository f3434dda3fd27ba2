import { type Log, type Revocation, TowlineError, toTowlineError } from '@towline/contract';
import { type OrgId, orgScope } from '@towline/protocol';
import type { LinkCredential } from '../links/link-credential.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { type CarriedSession, endCarried } from './carried.ts';
import { isRefusal, type JudgeAgainParts, judgeAgain } from './judge-again.ts';

/** Sessions judged at a time: the store serves new openings as well. */
const AT_ONCE = 16;
/** Codes that say by themselves why access ended; every other refusal is `access_ended`. */
const OWN_CODES: ReadonlySet<string> = new Set(['user_disabled', 'key_revoked', 'key_expired', 'token_expired', 'device_removed']);

/** What live access works with. */
export interface LiveAccessParts extends JudgeAgainParts {
  readonly registry: DeviceRegistry;
  readonly log: Log;
}

/** Has what was allowed at the opening of a session stay so, or ends the session. */
export interface LiveAccess {
  /** Grows whenever access may have ended: who was judged before has to be judged again when it has grown meanwhile. */
  readonly round: number;
  /**
   * Looks after a session from its opening on. `judged` is the round in which it was judged; in a later one it is judged
   * once more. Answers how to forget it.
   */
  watch(session: CarriedSession, judged: number): () => void;
  /** Notes the sessions that a revocation touches. */
  note(revocation: Pick<Revocation, 'kind' | 'id' | 'message'>): void;
  /** Notes those that were opened by a credential, which has become another one. */
  noteRenewed(credential: LinkCredential): void;
  /** Judges all that is noted; whatever cannot be judged stays noted. */
  enforce(): Promise<void>;
}

/** Why a session is judged anew, in words where there are any. Each is another object: a judgement strikes off the one it began with. */
interface Note {
  readonly message?: string;
}

/** Makes it, with nothing noted. */
export function createLiveAccess(parts: LiveAccessParts): LiveAccess {
  const carried = new Set<CarriedSession>();
  const noted = new Map<CarriedSession, Note>();
  let round = 0;
  const judge = async (session: CarriedSession, note: Note) => {
    if (carried.has(session) && !(await judgeOne(parts, session, note.message))) return;
    // What was noted in the meantime is about something that this judgement may not have seen.
    if (noted.get(session) === note) noted.delete(session);
  };
  const enforce = async () => {
    const waiting = [...noted];
    const work = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await judge(...next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
  return {
    get round() {
      return round;
    },
    watch(session, judged) {
      carried.add(session);
      if (judged !== round) {
        const note = {};
        noted.set(session, note);
        void judge(session, note);
      }
      return () => {
        carried.delete(session);
        noted.delete(session);
      };
    },
    note(revocation) {
      round += 1;
      for (const session of carried) if (isTouched(session, revocation)) noted.set(session, { message: revocation.message });
    },
    noteRenewed(credential) {
      // An opening that is not carried yet was judged by the older credential.
      round += 1;
      for (const session of carried) if (session.opener.credential === credential) noted.set(session, {});
    },
    enforce,
  };
}

/** Whether a session may be touched, by its principal or its device; rather one too many, because it is only judged. */
function isTouched({ session, opener, principal }: CarriedSession, { kind, id }: Pick<Revocation, 'kind' | 'id'>): boolean {
  const { claimed } = opener.credential;
  switch (kind) {
    case 'access':
      return session.deviceId === id;
    case 'membership':
      // A bounded credential goes by the address that is noted for its user.
      return claimed.bounded === true || claimed.email === id;
    case 'org':
      return principal.scopes.some(({ scope }) => scope === orgScope(id as OrgId));
    case 'user':
      return claimed.id === id;
    // Their links end, and with them the sessions.
    case 'key':
    case 'device':
      return false;
  }
}

/** False when it could not be judged. */
async function judgeOne(parts: LiveAccessParts, carried: CarriedSession, message: string | undefined): Promise<boolean> {
  const { registry, log } = parts;
  const { session, opener } = carried;
  try {
    carried.principal = await judgeAgain(parts, opener.credential.claimed, session);
    return true;
  } catch (thrown) {
    const error = toTowlineError(thrown);
    if (!isRefusal(error)) {
      log.error('a session could not be judged anew; it is tried again', { session: session.id, error });
      return false;
    }
    const end = OWN_CODES.has(error.code) ? error : new TowlineError('access_ended', message, { cause: error });
    log.info('a session ends, because it would not be allowed now', { session: session.id, code: end.code, refused_with: error.code });
    endCarried(registry, carried, end);
    return true;
  }
}
