import type { IncomingHttpHeaders } from 'node:http';
import * as https from 'node:https';

/** Pages one login may take; more is a circle. */
const MAX_PAGES = 20;
const PAGE_MS = 10_000;

/** What a person does at the pages of the provider. */
export interface BrowserLogin {
  /** Subject of the account. */
  readonly login: string;
  /** The pages of the provider ask for one and take any. */
  readonly password?: string;
  /** Press "abort" where the code is to be confirmed. */
  readonly deny?: boolean;
}

/** An answer as a browser sees it. */
export interface BrowserPage {
  readonly url: URL;
  readonly status: number;
  readonly text: string;
}

/**
 * Confirms a device login at the provider's real HTML pages as a browser does: with cookies, redirects and form posts.
 * `uri` is verification_uri_complete, or verification_uri with `code`. Answers the last page.
 */
export async function confirmInBrowser(
  uri: string,
  who: BrowserLogin & { readonly caPem: string; readonly code?: string },
): Promise<BrowserPage> {
  const browser = new Browser(who.caPem);
  let page = await browser.open(new URL(uri));
  for (let count = 0; count < MAX_PAGES; count += 1) {
    const form = readForm(page);
    if (form === undefined) return page;
    fillIn(form.fields, page, who);
    page = await browser.open(form.action, form.fields);
  }
  throw new Error(`The pages of the provider go in circles: ${page.url}`);
}

function fillIn(
  fields: URLSearchParams,
  { text }: BrowserPage,
  { login, password = 'any', deny, code }: BrowserLogin & { readonly code?: string },
): void {
  if (text.includes('id="op.deviceInputForm"')) {
    if (code === undefined || text.includes('class="red"')) throw new Error(`The provider does not take the code: ${textOf(text)}`);
    fields.set('user_code', code);
  }
  if (fields.has('login')) fields.set('login', login);
  if (fields.has('password')) fields.set('password', password);
  if (deny && text.includes('id="op.deviceConfirmForm"')) fields.set('abort', 'yes');
}

interface Form {
  readonly action: URL;
  readonly fields: URLSearchParams;
}

/** The form of a page that posts; none on the last page. */
function readForm({ url, text }: BrowserPage): Form | undefined {
  if (/<p class="red">The Sign-in request was interrupted/.test(text)) return undefined;
  const form = /<form\b[^>]*>[\s\S]*?<\/form>/i.exec(text)?.[0];
  if (form === undefined) return undefined;
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(input, 'name');
    if (name !== undefined) fields.set(name, attribute(input, 'value') ?? '');
  }
  return { action: new URL(attribute(form, 'action') ?? '', url), fields };
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1];
  return value?.replace(/&(amp|quot|#39|lt|gt);/g, (_all, entity: string) => ENTITIES[entity] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', quot: '"', '#39': "'", lt: '<', gt: '>' };

function textOf(html: string): string {
  return html
    .replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

class Browser {
  readonly #ca: string;
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>();

  constructor(ca: string) {
    this.#ca = ca;
  }

  /** Opens a page, posting `fields` if there are any, and follows redirects. */
  async open(url: URL, fields?: URLSearchParams): Promise<BrowserPage> {
    let at = url;
    let answer = await this.#send(at, fields);
    for (let count = 0; answer.headers.location !== undefined; count += 1) {
      if (count > MAX_PAGES) throw new Error(`Too many redirects: ${at}`);
      at = new URL(answer.headers.location, at);
      answer = await this.#send(at);
    }
    return { url: at, status: answer.status, text: answer.text };
  }

  #send(url: URL, fields?: URLSearchParams): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
    const headers = { cookie: this.#cookieFor(url), ...(fields ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) };
    return new Promise((resolve, reject) => {
      const options = {
        method: fields ? 'POST' : 'GET',
        ca: this.#ca,
        headers,
        signal: AbortSignal.timeout(PAGE_MS),
        agent: false,
      } as const;
      const request = https.request(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          this.#keep(response.headers['set-cookie'] ?? []);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
        });
      });
      request.on('error', reject);
      request.end(fields?.toString());
    });
  }

  #cookieFor({ pathname }: URL): string {
    const fitting = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path));
    return fitting.map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/;\s*/);
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? '/';
      const expired = attributes.some((text) => /^expires=/i.test(text) && Date.parse(text.slice(8)) < Date.now());
      if (expired) this.#cookies.delete(name);
      else this.#cookies.set(name, { value, path });
    }
  }
}
