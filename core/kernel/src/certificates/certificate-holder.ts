import { type TowlineError, toTowlineError } from '@towline/contract';
import type { CertificateOptions, CertificateSet } from './certificate-set.ts';
import { loadCertificates } from './load-certificates.ts';

/** What came of a reload. `failed` left the old certificates in use. */
export type ReloadOutcome =
  | { readonly outcome: 'changed'; readonly certificates: CertificateSet }
  | { readonly outcome: 'same' }
  | { readonly outcome: 'failed'; readonly error: TowlineError };

/** The certificates in use. */
export interface CertificateHolder {
  readonly current: CertificateSet;
  /** Reads the files anew and renews what is due. For SIGHUP, and once a day, so that a relay that runs for a year renews its leaf. */
  reload(): Promise<ReloadOutcome>;
}

/** Loads the certificates and keeps the last good ones. @throws see {@link loadCertificates}. */
export async function openCertificates(options: CertificateOptions): Promise<CertificateHolder> {
  let current = await loadCertificates(options);
  let turn: Promise<unknown> = Promise.resolve();

  async function reloadNow(): Promise<ReloadOutcome> {
    try {
      const certificates = await loadCertificates(options);
      if (certificates.certPem === current.certPem && certificates.keyPem === current.keyPem) return { outcome: 'same' };
      current = certificates;
      return { outcome: 'changed', certificates };
    } catch (error) {
      return { outcome: 'failed', error: toTowlineError(error) };
    }
  }

  return {
    get current() {
      return current;
    },
    reload() {
      // One after the other: two writers would share a temporary file.
      const mine = turn.then(reloadNow);
      turn = mine;
      return mine;
    },
  };
}
