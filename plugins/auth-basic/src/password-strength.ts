/** Shortest password, characters. */
export const MIN_PASSWORD_LENGTH = 12;
/** Longest password, characters: more is the wrong text, and would cost time before it is found to be wrong. */
export const MAX_PASSWORD_LENGTH = 1_024;
/** A password of words has more kinds of characters than this. */
const MIN_KINDS = 5;
/** So many characters must be left of a password besides what everybody tries first. */
const MIN_OWN = 6;
/** What everybody tries first. Longer words before those that they contain. */
const COMMON: readonly string[] = Object.freeze([
  'administrator',
  'admin',
  'passphrase',
  'password',
  'passw0rd',
  'passwort',
  'changethis',
  'changeme',
  'changeit',
  'replaceme',
  'placeholder',
  'default',
  'example',
  'welcome',
  'letmein',
  'supersecret',
  'secret',
  'towline',
  'relay',
  'guest',
  'login',
  'master',
  'root',
  'test',
  'user',
  'iloveyou',
  'qwertyuiop',
  'qwerty',
  'asdfgh',
  'abcdefgh',
  'abc',
  '1234567890',
  '123456789',
  '12345678',
  '123456',
  '12345',
  '1234',
  '123',
]);

/** What is wrong with a new password, without showing it; null when nothing is. */
export function passwordWeakness(password: string, username?: string): string | null {
  const { length } = [...password.normalize('NFC')];
  if (length === 0) return 'an empty text';
  if (/\p{Cc}/u.test(password)) return 'a text with control characters';
  if (length < MIN_PASSWORD_LENGTH) return `a text of ${length} characters`;
  if (length > MAX_PASSWORD_LENGTH) return `a text of ${length} characters, where ${MAX_PASSWORD_LENGTH} are allowed`;
  if (new Set(password).size < MIN_KINDS) return 'a text that repeats itself';
  return ownPart(password, username) < MIN_OWN ? 'a password that everybody tries first' : null;
}

/** Letters and digits that are left when common words and the name of the user are taken away. */
function ownPart(password: string, username: string | undefined): number {
  const words = username === undefined || username === '' ? COMMON : [username.normalize('NFC').toLowerCase(), ...COMMON];
  const rest = words.reduce((text, word) => text.replaceAll(word, ' '), password.normalize('NFC').toLowerCase());
  return [...rest.matchAll(/[\p{L}\p{M}\p{N}]/gu)].length;
}
