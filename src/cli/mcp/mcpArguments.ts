import { readFileSync } from 'node:fs';
import { loadConfig } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import { listeningUrl, urlOf } from '../gatewayUrl.ts';
import { parseOptions } from '../parseOptions.ts';

/** Which gateway `cellhouse mcp` is a client of. */
export interface McpArguments {
  /** Of the gateway, without a slash at its end. */
  readonly url: string;
  readonly token: string;
}

const text = { type: 'string' } as const;
const OPTIONS = { url: text, 'token-file': text };

/**
 * Parses the words after `cellhouse mcp`. The token is in CELLHOUSE_TOKEN or in a file, because every user of a machine can
 * read its command lines.
 * @throws Error that says what is wrong
 */
export function mcpArguments(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): McpArguments {
  const { values } = parseOptions(words, { options: OPTIONS });
  const given = values as Readonly<Record<string, string | undefined>>;
  return {
    url: addressOf(given.url, env),
    token: tokenOf(given['token-file'], env.CELLHOUSE_TOKEN),
  };
}

function addressOf(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (given !== undefined) return urlOf('--url', given);
  if (env.CELLHOUSE_URL !== undefined) return urlOf('CELLHOUSE_URL', env.CELLHOUSE_URL);
  return listeningUrl(loadConfig(env));
}

function tokenOf(file: string | undefined, inEnvironment: string | undefined): string {
  const token = (file === undefined ? inEnvironment : contentOf(file))?.trim();
  if (!token)
    throw new Error('There is no token. Set CELLHOUSE_TOKEN, or name a file: --token-file FILE.');
  // No header can have it: each request would fail, with an error that shows the token.
  if (!/^[!-~]+$/.test(token)) throw new Error('The token has characters that no token has.');
  return token;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause: unknown) {
    throw new Error(`--token-file cannot be read: ${messageOf(cause)}`, { cause });
  }
}
