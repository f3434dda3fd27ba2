import type { Scope } from '@towline/protocol';

/** The scope under which keys of platform admins without an e-mail address are listed. No organisation is given this id. */
export const OPERATOR_SCOPE = 'org:operator' as Scope;
