import { join } from 'node:path';
import { type Environment, formatFault } from '../src/relay/index.ts';
import { checkRelayConfig, type RelayConfigCheck } from '../src/relay/load-relay-config.ts';
import type { RelayConfig } from '../src/relay/relay-config.ts';
import type { RelayFlags } from '../src/relay/relay-variables.ts';
import { put } from './scratch-folder.ts';

/** A secret that passes, of 43 characters. */
export const GOOD_SECRET = 'kQ0v7Zt3Yx9Lr2Wm5Hs8Jd1Fb4Nc6Gp-Ta_UeViXoRq';
/** Another one. */
export const OTHER_SECRET = 'b2Vf8Tq1Zr5Xw9Lk3Mn7Hs0Jd4Gc6Pa-Ye_UoViRtQx';

/** What a relay is started with in a test. */
export interface Start {
  readonly env?: Environment;
  readonly flags?: RelayFlags;
}

/** Checks the text as towline.yaml in the folder. */
export function checkText(dir: string, yaml: string | Uint8Array, { env = {}, flags = {} }: Start = {}): RelayConfigCheck {
  put(join(dir, 'towline.yaml'), yaml);
  return checkRelayConfig({ file: 'towline.yaml', cwd: dir, env, flags });
}

/** The configuration of a text that has no fault. */
export function configOf(dir: string, yaml: string, start: Start = {}): RelayConfig {
  const check = checkText(dir, yaml, start);
  if (!check.ok) throw new Error(check.faults.map(formatFault).join('\n'));
  return check.config;
}

/** The faults of a text, as they are shown. */
export function faultsOf(dir: string, yaml: string | Uint8Array, start: Start = {}): string[] {
  const check = checkText(dir, yaml, start);
  return check.ok ? [] : check.faults.map(formatFault);
}
