import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRelayUrl, relayAddress } from '../src/relay-url.ts';

describe('the URL of a relay', () => {
  it.each([
    ['https://relay.example.com', 'https://relay.example.com/', 'relay.example.com', 443, false],
    ['relay.example.com', 'https://relay.example.com/', 'relay.example.com', 443, false],
    ['  relay.example.com:8085/ ', 'https://relay.example.com:8085/', 'relay.example.com', 8085, false],
    ['HTTPS://Relay.Example.COM:443/', 'https://relay.example.com/', 'relay.example.com', 443, false],
    ['localhost:8085', 'https://localhost:8085/', 'localhost', 8085, false],
    ['relay.example.com.', 'https://relay.example.com/', 'relay.example.com', 443, false],
    ['127.0.0.1:8085', 'https://127.0.0.1:8085/', '127.0.0.1', 8085, true],
    ['https://[::1]:8085', 'https://[::1]:8085/', '::1', 8085, true],
    ['[::1]', 'https://[::1]/', '::1', 443, true],
    ['bücher.example', 'https://xn--bcher-kva.example/', 'xn--bcher-kva.example', 443, false],
  ])('%j is understood', (text, href, host, port, isIp) => {
    const url = parseRelayUrl(text);
    expect(url.href).toBe(href);
    expect(relayAddress(url)).toEqual({ host, port, isIp });
  });

  it.each([
    ['', /is empty/],
    ['   ', /is empty/],
    ['http://relay.example.com:8085', /http:\/\/.*only spoken to over TLS/],
    ['ws://relay.example.com', /begins with ws:\/\//],
    ['javascript://x', /begins with javascript:/],
    ['https://relay.example.com/api', /has a path \(\/api\)/],
    ['https://relay.example.com/?a=1', /query or fragment/],
    ['https://relay.example.com/#x', /query or fragment/],
    ['https://user:hunter2@relay.example.com', /user name or password/],
    ['https://@relay.example.com', /user name or password/],
    ['https://relay.exam\nple.com', /space, a control character/],
    ['https://relay example.com', /space, a control character/],
    ['https:\\\\relay.example.com', /backslash/],
    ['https://', /not one that can be understood/],
    ['https://relay.example.com:99999', /not one that can be understood/],
    ['https://relay.example.com:0', /no host and port/],
    ['https://.', /no host and port/],
    ['https://relay..example.com', /no host and port/],
  ])('%j is refused in words', (text, words) => {
    expect(() => parseRelayUrl(text)).toThrow(expect.objectContaining({ code: 'relay_url', message: expect.stringMatching(words) }));
  });

  it('with http:// comes with the URL to use instead', () => {
    expect(() => parseRelayUrl('http://relay.example.com:8085')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('https://relay.example.com:8085') }),
    );
  });

  it('with a password never shows it in the error', () => {
    for (const text of [
      'https://user:hunter2@relay.example.com/path',
      'user:hunter2@relay.example.com',
      'http://user:hunter2@relay.example.com',
    ]) {
      expect(() => parseRelayUrl(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
    }
  });

  it('is either refused as relay_url or comes out as https with nothing but host and port', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc.webUrl().map((url) => url.replace('http:', 'https:')),
      fc.domain(),
    );
    fc.assert(
      fc.property(anything, (text) => {
        let url: URL;
        try {
          url = parseRelayUrl(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'relay_url' });
          return;
        }
        expect(url.href).toBe(`https://${url.host}/`);
        expect(parseRelayUrl(url.href).href).toBe(url.href);
        expect(relayAddress(url).port).toBeGreaterThan(0);
      }),
      { numRuns: 200 },
    );
  });
});
