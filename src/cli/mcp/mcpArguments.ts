import { addressOf, type GatewayAddress, tokenIn } from '../gatewayClient.ts';
import { parseOptions } from '../parseOptions.ts';

const text = { type: 'string' } as const;
const OPTIONS = { url: text, 'token-file': text };

/**
 * Parses the words after `cellhouse mcp`: which gateway it is a client of.
 * @throws Error that says what is wrong
 */
export function mcpArguments(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): GatewayAddress {
  const { values } = parseOptions(words, { options: OPTIONS });
  const given = values as Readonly<Record<string, string | undefined>>;
  return {
    url: addressOf(given.url, env),
    token: tokenIn(given['token-file'], env),
  };
}
