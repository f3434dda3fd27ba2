/**
 * Stands for the relay itself where the scopes of a caller are asked for: every object is visible.
 * Only the kernel, the rescue commands and stores may import this module; tools/check-layers sees to it.
 */
export const SYSTEM_SCOPE: unique symbol = Symbol.for('towline.system-scope');
