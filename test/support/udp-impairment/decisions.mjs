import { PURPOSE } from './random.mjs';

/**
 * Decides what becomes of the packets of one flow in one direction, one after the other. What it decides follows from
 * the draws and the ordinal number alone; the profile says how often.
 */
export function createDecider({ draw, readCurrentProfile, record }) {
  let ordinal = 0;
  let inBurst = false;
  return () => {
    ordinal += 1;
    const profile = readCurrentProfile();
    if (profile.burst !== null) {
      const moved = draw(ordinal, PURPOSE.burstMove) < (inBurst ? profile.burst.leave : profile.burst.enter);
      inBurst = inBurst !== moved;
    } else inBurst = false;
    const decision = decide({ ordinal, inBurst, profile, draw });
    record.add(decision);
    return decision;
  };
}

function decide({ ordinal, inBurst, profile, draw }) {
  const happens = (probability, purpose) => probability > 0 && draw(ordinal, purpose) < probability;
  if (inBurst && happens(profile.burst.loss, PURPOSE.burstLoss)) return gone(ordinal, 'lost in a burst');
  if (happens(profile.loss, PURPOSE.loss)) return gone(ordinal, 'lost');
  return {
    ordinal,
    fate: 'passed',
    jitterMs: profile.jitterMs > 0 ? profile.jitterMs * draw(ordinal, PURPOSE.jitter) : 0,
    holdMs: profile.reorder !== null && happens(profile.reorder.probability, PURPOSE.reorder) ? profile.reorder.holdMs : 0,
    copies: happens(profile.duplicate, PURPOSE.duplicate) ? 2 : 1,
    corruption: happens(profile.corrupt, PURPOSE.corrupt)
      ? { place: draw(ordinal, PURPOSE.corruptPlace), bits: 1 + Math.floor(255 * draw(ordinal, PURPOSE.corruptBits)) }
      : null,
  };
}

function gone(ordinal, fate) {
  return { ordinal, fate, jitterMs: 0, holdMs: 0, copies: 0, corruption: null };
}
