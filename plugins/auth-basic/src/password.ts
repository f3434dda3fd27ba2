export { hashPassword } from './password-hash.ts';
export { MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, passwordWeakness } from './password-strength.ts';
