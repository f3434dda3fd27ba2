import { describe, expect, it } from 'vitest';
import { chooseProxy } from '../src/proxy/choose-proxy.ts';

const PROXY = 'http://proxy.example.com:3128';

/** HOST:PORT of the proxy that is chosen, or null. */
function choose(relay: string, environment: NodeJS.ProcessEnv): string | null {
  return chooseProxy(new URL(relay), environment)?.name ?? null;
}

describe('the proxy for a relay', () => {
  it.each<[string, NodeJS.ProcessEnv, string | null]>([
    ['none', {}, null],
    ['an empty one', { HTTPS_PROXY: ' ' }, null],
    ['HTTPS_PROXY', { HTTPS_PROXY: PROXY }, 'proxy.example.com:3128'],
    ['https_proxy', { https_proxy: PROXY }, 'proxy.example.com:3128'],
    ['lower case before upper case', { https_proxy: 'lower:1', HTTPS_PROXY: 'upper:2' }, 'lower:1'],
    ['an empty one in lower case', { https_proxy: '', HTTPS_PROXY: 'upper:2' }, 'upper:2'],
    ['variables for other things', { HTTP_PROXY: PROXY, http_proxy: PROXY, ALL_PROXY: PROXY, all_proxy: PROXY }, null],
    ['no scheme, which is http', { HTTPS_PROXY: 'proxy.example.com:3128' }, 'proxy.example.com:3128'],
    ['no port with http', { HTTPS_PROXY: 'http://proxy.example.com/' }, 'proxy.example.com:80'],
    ['no port with https', { HTTPS_PROXY: 'https://proxy.example.com' }, 'proxy.example.com:443'],
    ['an IPv6 address', { HTTPS_PROXY: 'http://[::1]:3128' }, '[::1]:3128'],
    ['NO_PROXY for others', { HTTPS_PROXY: PROXY, NO_PROXY: 'localhost,example.org' }, 'proxy.example.com:3128'],
    ['NO_PROXY for the relay', { HTTPS_PROXY: PROXY, NO_PROXY: 'localhost,relay.example.com' }, null],
    ['no_proxy in lower case', { HTTPS_PROXY: PROXY, no_proxy: 'relay.example.com' }, null],
  ])('by %s', (_what, environment, expected) => {
    expect(choose('https://relay.example.com', environment)).toBe(expected);
  });

  it('is looked for nowhere but in what is given', () => {
    process.env.HTTPS_PROXY = PROXY;
    try {
      expect(choose('https://relay.example.com', {})).toBeNull();
    } finally {
      delete process.env.HTTPS_PROXY;
    }
  });
});

describe('NO_PROXY', () => {
  it.each<[entry: string, relay: string]>([
    ['*', 'https://relay.example.com'],
    ['a.example.org *', 'https://relay.example.com'],
    ['relay.example.com', 'https://relay.example.com'],
    ['RELAY.Example.COM', 'https://relay.example.com'],
    ['relay.example.com.', 'https://relay.example.com'],
    ['example.com', 'https://relay.example.com'],
    ['.example.com', 'https://relay.example.com'],
    ['*.example.com', 'https://relay.example.com'],
    ['.example.com', 'https://example.com'],
    ['a, b ,\texample.com', 'https://relay.example.com'],
    ['example.com:8085', 'https://relay.example.com:8085'],
    ['example.com:443', 'https://relay.example.com'],
    ['*.example.com:443', 'https://relay.example.com'],
    ['127.0.0.1', 'https://127.0.0.1:8085'],
    ['127.0.0.1:8085', 'https://127.0.0.1:8085'],
    ['10.0.0.0/8', 'https://10.255.0.1'],
    ['0.0.0.0/0', 'https://10.255.0.1'],
    ['10.0.0.0/8:443', 'https://10.255.0.1'],
    ['::1', 'https://[::1]:8085'],
    ['[::1]', 'https://[::1]:8085'],
    ['[::1]:8085', 'https://[::1]:8085'],
    ['0:0:0:0:0:0:0:1', 'https://[::1]'],
    ['FD00::/8', 'https://[fd12::1]'],
    ['[fd00::/8]:443', 'https://[fd12::1]'],
  ])('%s names %s', (entry, relay) => {
    expect(choose(relay, { HTTPS_PROXY: PROXY, NO_PROXY: entry })).toBeNull();
  });

  it.each<[entry: string, relay: string]>([
    ['', 'https://relay.example.com'],
    [', ,', 'https://relay.example.com'],
    ['.', 'https://relay.example.com'],
    ['ample.com', 'https://relay.example.com'],
    ['relay.example', 'https://relay.example.com'],
    ['b.relay.example.com', 'https://relay.example.com'],
    ['re*.example.com', 'https://relay.example.com'],
    ['example.com:8085', 'https://relay.example.com'],
    ['127.0.0.1:443', 'https://127.0.0.1:8085'],
    ['127.0.0.0/8', 'https://localhost'],
    ['10.0.0.0/8', 'https://11.0.0.1'],
    ['10.0.0.0/33', 'https://10.0.0.1'],
    ['10.0.0.0/x', 'https://10.0.0.1'],
    ['10.0.0', 'https://10.0.0.1'],
    ['::1', 'https://[::2]'],
    ['::/129', 'https://[::1]'],
    ['fe80::1%lo', 'https://[fe80::1]'],
    ['[::1', 'https://[::1]'],
  ])('%s does not name %s', (entry, relay) => {
    expect(choose(relay, { HTTPS_PROXY: PROXY, NO_PROXY: entry })).toBe('proxy.example.com:3128');
  });
});

describe('the URL of a proxy', () => {
  const read = (url: string) => chooseProxy(new URL('https://relay.example.com'), { HTTPS_PROXY: url });
  const decoded = (url: string) => Buffer.from(read(url)!.authorization!.replace('Basic ', ''), 'base64').toString();

  it('gives user name and password as they are meant', () => {
    expect(read('http://proxy:3128')).not.toHaveProperty('authorization');
    expect(decoded('http://ada:lovelace@proxy:3128')).toBe('ada:lovelace');
    expect(decoded('ada:lovelace@proxy:3128')).toBe('ada:lovelace');
    expect(decoded('http://ada%40home:p%3A%2F%23%25%C3%A9@proxy:3128')).toBe('ada@home:p:/#%é');
    expect(decoded('http://ada@proxy:3128')).toBe('ada:');
    expect(decoded('http://:only@proxy:3128')).toBe(':only');
  });

  it.each([
    'http://ada:s3cret%zz@proxy:3128',
    'http://ada%3Ab:s3cret@proxy:3128',
    'http://ada:s3c#ret@proxy:3128',
    'http://ada:s3c ret@proxy:3128',
    'http://ada:s3cret@proxy:3128/path',
    'http://ada:s3cret@proxy:3128?query',
    'http://ada:s3cret@proxy:99999',
    'http://ada:s3cret@proxy:0',
    'http://ada:s3cret@',
    'http://ada:s3cret@[::1:3128',
    'socks5://ada:s3cret@proxy:1080',
    'http://ada:s3cret@proxy:3128\r\nX-Evil: 1',
  ])('%j is refused with what is wrong, and is not repeated', (url) => {
    const refused = expect.objectContaining({ code: 'config_invalid', hint: expect.stringContaining('http://USER:PASSWORD@HOST:PORT') });
    expect(() => read(url)).toThrow(refused);
    try {
      read(url);
    } catch (error) {
      const { message, hint, cause, stack } = error as Error & { hint: string };
      expect([message, hint, stack, String(cause)].join()).not.toMatch(/s3c|ret@|ada/);
      expect(message).toMatch(/^HTTPS_PROXY (holds|has|is|begins|names) /);
    }
  });
});
