import { domainToASCII, domainToUnicode } from 'node:url';
import { normaliseEmail, printable } from '@towline/protocol';
import type { Claims } from './claims.ts';

/** The address that the provider vouches for, or why there is none, for people. */
export type ClaimedEmail = { readonly email: string } | { readonly emailNote: string };

const NO_ADDRESS = 'The identity provider names something that is no e-mail address.';

/** Judges the address in claims. `domains`: those that the provider may vouch for, ASCII and lower case; undefined: all. */
export function claimedEmail({ email: given, email_verified: verified }: Claims, domains: readonly string[] | undefined): ClaimedEmail {
  if (given === undefined || given === null || given === '') return note('The identity provider names no e-mail address.');
  if (typeof given !== 'string') return note(NO_ADDRESS);
  const shown = printable(given).slice(0, 320);
  if (turnsIntoAscii(given)) return note(`The e-mail address ${shown} holds letters that only look like those of another address.`);
  const email = normaliseEmail(given);
  if (email === null) return note(NO_ADDRESS);
  // Some providers send the text in place of the truth value.
  if (verified !== true && verified !== 'true') return note(`The identity provider has not verified the e-mail address ${shown}.`);
  if (domains !== undefined && !isWithin(email, domains))
    return note(`The e-mail address ${shown} is not of a domain that this relay takes from the identity provider.`);
  return { email };
}

function note(emailNote: string): ClaimedEmail {
  return { emailNote };
}

/** Normalising turns some letters into ASCII ones, as the Kelvin sign into k: a way into the account of somebody else. */
function turnsIntoAscii(text: string): boolean {
  return [...text].some((char) => char > '\x7f' && /[\x00-\x7f]/.test(char.normalize('NFC').toLowerCase()));
}

/** A domain counts by its ASCII form, and only when it is written in that or in the Unicode form of it, with nothing mapped. */
function isWithin(email: string, domains: readonly string[]): boolean {
  const domain = email.slice(email.lastIndexOf('@') + 1);
  const ascii = domainToASCII(domain);
  return (ascii === domain || domainToUnicode(ascii) === domain) && domains.includes(ascii);
}
