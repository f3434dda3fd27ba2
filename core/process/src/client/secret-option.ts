import { MAX_SESSION_SECRETS, secretWordsFault, TowlineError } from '@towline/protocol';

/** The secrets that were asked for by `--secret`; undefined when none were. @throws TowlineError `usage`. */
export function readSecretOption(words: string | boolean | readonly string[] | undefined): string[] | undefined {
  if (!Array.isArray(words)) return undefined;
  const fault = secretWordsFault(words as readonly string[]);
  if (fault === null) return [...(words as readonly string[])];
  throw new TowlineError('usage', `--secret: ${fault}.`, {
    hint: `Give it the names that \`towline secrets list\` shows, each once, ${MAX_SESSION_SECRETS} at most; never a value.`,
  });
}
