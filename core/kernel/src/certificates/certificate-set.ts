import type { Clock } from '@towline/contract';

/** What a TLS listener needs, and what its diallers are told. */
export interface CertificateSet {
  /** The leaf, then its chain up to the CA. */
  readonly certPem: string;
  readonly keyPem: string;
  /** The certificate of the CA, for `--ca`. */
  readonly caPem: string;
  /** `sha256:HEX` of the CA's public key (SPKI), for `--fingerprint`. */
  readonly fingerprint: string;
  /** End of the leaf, Unix milliseconds. */
  readonly expiresAt: number;
}

/** Where the certificates of a relay come from. */
export interface CertificateOptions {
  /** Folder of the relay's data; certificates of our own making are kept under it. */
  readonly dataDir: string;
  /** Files named by `server.tls` in the config. Left out: the relay makes its own. */
  readonly configured?: { readonly certFile: string; readonly keyFile: string };
  /** Name of this machine (`os.hostname()`). */
  readonly hostName: string;
  /** `server.public_url`. */
  readonly publicUrl?: URL;
  /** More names and addresses that the relay is reached by. */
  readonly names?: readonly string[];
  readonly clock: Clock;
}
