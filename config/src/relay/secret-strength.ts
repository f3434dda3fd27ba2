/** Shortest forward secret, characters: 256 bits as hex have 64, as base64 43; shorter than this is typed by hand. */
export const MIN_SECRET_LENGTH = 32;
/** A random text of 32 hex digits has fewer kinds of characters than this less than once in 10^12 times. */
const MIN_KINDS = 6;
/** Parts of the texts that examples and templates hold in place of a secret. */
const PLACEHOLDERS = Object.freeze([
  'changeme',
  'changethis',
  'replaceme',
  'replacethis',
  'placeholder',
  'yoursecret',
  'mysecret',
  'secretkey',
  'supersecret',
  'topsecret',
  'forwardsecret',
  'examplesecret',
  'password',
  'insecure',
  'letmein',
  'abcdefgh',
  '12345678',
]);

/** What is wrong with a secret, without showing it; null when nothing is. */
export function secretWeakness(secret: string): string | null {
  if (secret === '') return 'an empty text';
  if ([...secret].length < MIN_SECRET_LENGTH) return `a text of ${[...secret].length} characters`;
  if (new Set(secret).size < MIN_KINDS || isRepetition(secret)) return 'a text that repeats itself';
  const letters = secret.toLowerCase().replace(/[^a-z0-9]/g, '');
  return PLACEHOLDERS.some((word) => letters.includes(word)) ? 'a placeholder' : null;
}

/** Whether the text is one part twice or more often, the last one possibly cut. */
function isRepetition(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period += 1) {
    if (text.startsWith(text.slice(period))) return true;
  }
  return false;
}
