/** Finds the gateway that a command needs, and calls it. */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type Config, loadConfig } from '../config/config.ts';
import { messageOf } from '../domain/errors.ts';
import { tokenPath } from '../process/dataDir.ts';
import { wrong } from './token.ts';

/**
 * The address of a gateway, without a slash at its end.
 * @param name the name of the option or variable with the address
 * @throws Error that says what is wrong
 */
export function urlOf(name: string, given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw wrong(`${name} must be like https://code.example.com`, given);
  return given.replace(/\/+$/, '');
}

/** Where a gateway with these settings listens. */
export function listeningUrl({ host, port }: Pick<Config, 'host' | 'port'>): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

type Env = Readonly<Record<string, string | undefined>>;

export interface GatewayAddress {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string;
}

/** `--url`, or CELLHOUSE_URL, or where a gateway with these settings listens. @throws Error that says what is wrong */
export function addressOf(given: string | undefined, env: Env): string {
  if (given !== undefined) return urlOf('--url', given);
  if (env.CELLHOUSE_URL !== undefined) return urlOf('CELLHOUSE_URL', env.CELLHOUSE_URL);
  return listeningUrl(loadConfig(env));
}

/**
 * The token in the file, or in CELLHOUSE_TOKEN. The token is never an argument itself, because every user of a machine
 * can read the command lines on it.
 * @param file the value of `--token-file`
 * @throws Error that says what is wrong
 */
export function tokenIn(file: string | undefined, env: Env): string {
  return checked(file === undefined ? env.CELLHOUSE_TOKEN : contentOf('--token-file', file));
}

/**
 * The token of {@link tokenIn}, or else that of the gateway with these settings.
 * @throws Error that says what is wrong
 */
export function operatorsTokenIn(file: string | undefined, env: Env): string {
  if (file !== undefined || env.CELLHOUSE_TOKEN !== undefined) return tokenIn(file, env);
  const { authToken, dataDir } = loadConfig(env);
  return checked(authToken ?? contentOf('The token of the gateway', tokenPath(dataDir)));
}

function checked(given: string | undefined): string {
  const token = given?.trim();
  if (!token)
    throw new Error('There is no token. Set CELLHOUSE_TOKEN, or name a file: --token-file FILE.');
  // No header can contain such characters: each request would fail, with an error that shows the token.
  if (!/^[!-~]+$/.test(token)) throw new Error('The token has characters that no token has.');
  return token;
}

function contentOf(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause: unknown) {
    throw new Error(`${what} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly { readonly message: string }[];
}

/** The gateway has refused a call. Its message says what to do. */
export class RefusedError extends Error {}

/** @throws RefusedError; Error if the gateway cannot be reached */
export async function askGateway<Data>(
  at: GatewayAddress,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Data> {
  return dataOf(await answerIn<Data>(at, await post(at, 'application/json', query, variables)));
}

/**
 * The events of a subscription, up to its end.
 * @throws as {@link askGateway}; Error if the connection breaks, or if the gateway is away for a while
 */
export async function* followGateway<Data>(
  at: GatewayAddress,
  query: string,
  variables: Readonly<Record<string, unknown>>,
): AsyncGenerator<Data> {
  const response = await post(at, 'text/event-stream', query, variables);
  const { body, headers, status } = response;
  if (!headers.get('content-type')?.startsWith('text/event-stream')) {
    const [error] = (await answerIn(at, response)).errors ?? [];
    // The refusal of a token or a query would only be repeated. A failure of the gateway may be temporary.
    throw new (status < 500 ? RefusedError : Error)(error?.message ?? NEITHER);
  }
  if (body === null) throw new Error(`${at.url} has sent nothing.`);
  for await (const line of createInterface({ input: Readable.fromWeb(body as never) })) {
    if (line === 'event: complete') return;
    if (line.startsWith('data: {')) yield dataOf(JSON.parse(line.slice(6)) as Answer<Data>);
  }
  throw new Error(`The connection to ${at.url} broke.`);
}

async function post(
  { url, token }: GatewayAddress,
  accept: string,
  query: string,
  variables: object,
): Promise<Response> {
  try {
    return await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { accept, 'content-type': 'application/json', 'x-auth-token': token },
      body: JSON.stringify({ query, variables }),
    });
  } catch (cause: unknown) {
    throw new Error(`No gateway answers at ${url}.`, { cause });
  }
}

async function answerIn<Data>({ url }: GatewayAddress, response: Response): Promise<Answer<Data>> {
  try {
    return (await response.json()) as Answer<Data>;
  } catch (cause: unknown) {
    // For example, a proxy answers while the gateway is away.
    const message = `What answers at ${url} is no gateway: its answer, with status ${response.status}, is no JSON.`;
    throw new Error(message, { cause });
  }
}

const NEITHER = 'The gateway has answered neither with data nor with an error.';

function dataOf<Data>({ data, errors }: Answer<Data>): Data {
  const [error] = errors ?? [];
  if (error) throw new RefusedError(error.message);
  if (!data) throw new Error(NEITHER);
  return data;
}
