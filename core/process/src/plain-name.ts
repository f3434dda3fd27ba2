/** No slash and no dot in front: neither a terminal type nor a locale can name a file elsewhere. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/;

/** Whether a text may be passed on as TERM or LANG. */
export function isPlainName(text: string | undefined): text is string {
  return text !== undefined && PLAIN_NAME.test(text);
}
