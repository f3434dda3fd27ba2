// What of the protocol needs no schemas, for programs of which every start counts: to load those takes longer than all else that they load.
export * from './errors/catalogue.ts';
export * from './errors/towline-error.ts';
export * from './json.ts';
export * from './limits.ts';
export * from './text.ts';
