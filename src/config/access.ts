/** Who may call. */
import { isNetwork } from './networks.ts';
import { integer, optional, text } from './setting.ts';

export const ACCESS = {
  maxTokens: integer({
    name: 'MAX_TOKENS',
    text: 'How many tokens there may be that are neither revoked nor expired. Each gateway keeps them in memory.',
    fallback: 10_000,
    min: 0,
    max: 100_000,
  }),
  authFailuresPerMinute: integer({
    name: 'AUTH_FAILURES_PER_MINUTE',
    text: 'How many wrong tokens one address may send in a minute. After that, calls from this address are refused for some time, except with right tokens that it has used before.',
    fallback: 30,
    min: 1,
    max: 10_000,
  }),
  trustedProxies: optional<readonly string[], readonly string[]>({
    name: 'TRUSTED_PROXIES',
    text: "Addresses and networks of the proxies in front of the gateway, separated by commas. For a call from such a proxy, the caller's address is the last one in `X-Forwarded-For` that is no trusted proxy. If a proxy is not listed, all callers behind it count as one address.",
    whenUnset: 'none',
    unset: [],
    allowed: 'addresses and networks such as 10.0.0.0/8,::1, separated by commas',
    parse: (given) => {
      const proxies = given.split(',').map((part) => part.trim());
      return proxies.every(isNetwork) ? proxies : undefined;
    },
  }),
  auditorSeesCode: text<boolean>({
    name: 'AUDITOR_SEES_CODE',
    text: 'Whether tokens with the role AUDITOR see code, output and input. Otherwise they see only that something happened, when, and by whom.',
    fallback: 'off',
    allowed: 'on or off',
    parse: (given) => (given === 'on' ? true : given === 'off' ? false : undefined),
  }),
};
