import { request } from 'node:https';
import type { TestRelay } from '../../../test/support/system.ts';

/** An answer that need not be JSON. */
export interface TextAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Asks a relay as anybody, without a credential. */
export function fetchText(relay: TestRelay, path: string): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, relay.url), { rejectUnauthorized: false, timeout: 20_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text }));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject).end();
  });
}
