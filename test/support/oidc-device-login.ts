import * as https from 'node:https';
import { confirmInBrowser } from './oidc-browser.ts';

/** Tokens as the provider answers them. */
export interface DeviceTokens {
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly id_token?: string;
  readonly expires_in: number;
  readonly scope?: string;
}

/** Where a provider is. */
export interface OidcPlace {
  readonly url: string;
  readonly caPem: string;
}

/** Who logs in, with which client, and for what. */
export interface DeviceLogin {
  readonly sub: string;
  readonly clientId: string;
  readonly resource?: string;
  readonly scope?: string;
}

const REQUEST_MS = 10_000;

/** Logs in by the device flow through the provider's real pages. */
export async function loginByDeviceFlow(at: OidcPlace, { sub, clientId, resource, scope }: DeviceLogin): Promise<DeviceTokens> {
  const asked = {
    client_id: clientId,
    scope: scope ?? 'openid offline_access email profile',
    ...(resource === undefined ? {} : { resource }),
  };
  const started = await sendForm(at, '/device/auth', asked);
  if (started.status !== 200) throw new Error(`The device flow did not start: ${JSON.stringify(started.body)}`);
  const page = await confirmInBrowser(String(started.body.verification_uri_complete), { login: sub, caPem: at.caPem });
  const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(started.body.device_code) };
  const finished = await sendForm(at, '/token', { ...grant, client_id: clientId });
  if (finished.status !== 200) throw new Error(`There is no token: ${JSON.stringify(finished.body)} ${page.text}`);
  return finished.body as unknown as DeviceTokens;
}

/** Posts a form to a provider and answers status and JSON. */
export async function sendForm({ url, caPem }: OidcPlace, path: string, fields: Readonly<Record<string, string>>) {
  return new Promise<{ readonly status: number; readonly body: Record<string, unknown> }>((resolve, reject) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const options = { method: 'POST', ca: caPem, headers, signal: AbortSignal.timeout(REQUEST_MS), agent: false } as const;
    const request = https.request(`${url}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) });
      });
    });
    request.on('error', reject);
    request.end(new URLSearchParams(fields).toString());
  });
}
