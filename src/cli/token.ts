/** `cellhouse token`: creates, lists, rotates and revokes tokens. */
import { resolve } from 'node:path';
import type { ParseArgsConfig } from 'node:util';
import { type Logger, pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import { CLI_ACTOR } from '../domain/events.ts';
import type { GatewayId } from '../domain/ids.ts';
import { quoted } from '../domain/text.ts';
import { ROLES, type Role, type UsedToken } from '../domain/token.ts';
import type { DatabaseAddress } from '../events/connection/client.ts';
import { openDatabase } from '../events/openDatabase.ts';
import { databaseAddress } from '../gateway.ts';
import { newE2bSecret, newSecret } from '../process/dataDir.ts';
import { newId } from '../process/newId.ts';
import { withActor } from '../service/access/actorDeps.ts';
import {
  createToken,
  revokeToken,
  rotateToken,
  type TokenWithSecret,
  tokens,
} from '../service/access/tokens.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../service/principal.ts';
import { cleanUp, parseOptions, tableOf } from './commandLine.ts';
import { type OpenSecretSink, openSecretSink } from './secretSink.ts';

/** The parsed arguments of `cellhouse token`. */
export type TokenArguments =
  | {
      readonly type: 'create';
      readonly name: string;
      readonly role: Role;
      readonly tenant: string | null;
      readonly userUuid: string | null;
      readonly userPrefix: string | null;
      readonly door: string | null;
      readonly expiresInMs: number | null;
      readonly secret: SecretArguments;
    }
  | { readonly type: 'list'; readonly isJson: boolean }
  | { readonly type: 'revoke'; readonly token: string }
  | {
      readonly type: 'rotate';
      readonly token: string;
      readonly formerValidMs: number;
      readonly secret: SecretArguments;
    };

/** How the secret is made, and where it is written. */
export interface SecretArguments {
  readonly isForE2b: boolean;
  /** Null: the terminal. */
  readonly outputPath: string | null;
}

const MS_PER: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

type Options = NonNullable<ParseArgsConfig['options']>;
/** The values of the options, by name. `--json` has no text: its value is true. */
type Values = Readonly<Record<string, string | undefined>>;

const text = { type: 'string' } as const;
const JSON_LINES = { json: { type: 'boolean' } } as const;
const SECRET = { shape: text, output: text };
const CREATE = {
  ...SECRET,
  ...{ name: text, role: text, tenant: text, user: text, 'user-prefix': text },
  ...{ door: text, 'expires-in': text },
};

/** Parses the words after `cellhouse token`. @throws Error that says what is wrong, with a correct example */
export function tokenArguments([command, ...words]: readonly string[]): TokenArguments {
  switch (command) {
    case 'create':
      return createArguments(words);
    case 'list':
      return { type: 'list', isJson: 'json' in parse(words, JSON_LINES, false).values };
    case 'revoke':
      return { type: 'revoke', token: oneToken(words).token };
    case 'rotate': {
      const options = { ...SECRET, 'former-valid-seconds': text };
      const { token, values } = oneToken(words, options);
      const seconds = values['former-valid-seconds'] ?? '0';
      if (!/^\d{1,7}$/.test(seconds))
        throw wrong('--former-valid-seconds must be a whole number', seconds);
      return {
        ...{ type: 'rotate', token, formerValidMs: Number(seconds) * 1_000 },
        secret: secretArguments(values),
      };
    }
    default:
      throw new Error(
        'cellhouse token needs create, list, revoke or rotate. See cellhouse --help.',
      );
  }
}

function createArguments(words: readonly string[]): TokenArguments {
  const { values } = parse(words, CREATE, false);
  if (!values.name || !values.role) {
    throw new Error(
      '--name and --role are needed. Example: cellhouse token create --name anns-laptop --role user --user ann',
    );
  }
  return {
    type: 'create',
    name: values.name,
    role: roleOf(values.role),
    tenant: values.tenant ?? null,
    userUuid: values.user ?? null,
    userPrefix: values['user-prefix'] ?? null,
    door: values.door ?? null,
    expiresInMs: durationOf(values['expires-in'] ?? null),
    secret: secretArguments(values),
  };
}

function roleOf(given: string): Role {
  const role = ROLES.find((each) => each === given.toUpperCase());
  if (role === undefined)
    throw wrong(`--role must be one of ${ROLES.join(', ').toLowerCase()}`, given);
  return role;
}

/** The milliseconds of a duration such as `30d`. @throws Error if `given` is no duration */
export function durationOf(given: string | null): number | null {
  if (given === null) return null;
  const [, count, unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(given) ?? [];
  if (count === undefined) throw wrong('--expires-in must be like 30d, 12h, 90m or 60s', given);
  return Number(count) * (MS_PER[unit] ?? 0);
}

function secretArguments({ shape = 'ch', output }: Values): SecretArguments {
  if (shape !== 'ch' && shape !== 'e2b') throw wrong('--shape must be ch or e2b', shape);
  if (output === '') throw new Error('--output needs the name of a file.');
  return { isForE2b: shape === 'e2b', outputPath: output === undefined ? null : resolve(output) };
}

function oneToken(words: readonly string[], options: Options = {}) {
  const { values, positionals } = parse(words, options, true);
  const [token, ...more] = positionals;
  if (token === undefined || more.length > 0)
    throw new Error('Name one token, by its id or its name. `cellhouse token list` shows both.');
  return { token, values };
}

function parse(words: readonly string[], options: Options, allowPositionals: boolean) {
  const { values, positionals } = parseOptions(words, { options, allowPositionals });
  return { values: values as Values, positionals };
}

/** The error for a value that an option may not have. */
export function wrong(what: string, given: string): Error {
  return new Error(`${what}, not ${quoted(given)}.`);
}

/** The principal of the command, as the audit records it. */
export const CLI: Principal = {
  ...AUTH_TOKEN_HOLDER,
  tokenId: CLI_ACTOR.token,
  door: CLI_ACTOR.door,
};

/** `cellhouse token`: makes, lists, revokes and rotates tokens. @param words the arguments after `token` */
export async function token(words: readonly string[]): Promise<void> {
  const asked = tokenArguments(words);
  const config = loadConfig(process.env);
  const logger = pino({ level: config.logLevel });
  const address = await databaseAddress(config, logger);
  const print = (line: string) => console.log(line);
  await runToken(asked, { config, address, logger, openSink: openSecretSink, print });
}

export interface TokenDeps {
  readonly config: Config;
  readonly address: DatabaseAddress;
  readonly logger: Logger;
  readonly openSink: OpenSecretSink;
  /** Prints a line, which never contains a secret. */
  readonly print: (line: string) => void;
}

/** The work of {@link token} on a database. */
export async function runToken(
  asked: TokenArguments,
  { config, address, logger, openSink, print }: TokenDeps,
): Promise<void> {
  const opened = await openDatabase(address, { gatewayId: newId<GatewayId>(), logger, newId });
  const database = withActor(opened, CLI);
  const deps = { config, database, newId, now: () => new Date() };
  try {
    switch (asked.type) {
      case 'create': {
        const { secret, expiresInMs, type: _, ...request } = asked;
        const expiresAt = expiresInMs === null ? null : new Date(Date.now() + expiresInMs);
        return await withSecret(secret, { openSink, print }, (newSecret) =>
          createToken({ ...deps, newSecret }, CLI, { ...request, expiresAt }),
        );
      }
      case 'list':
        return list(await tokens(deps, CLI), asked.isJson, print);
      case 'revoke': {
        const { id, name } = await revokeToken(deps, CLI, await idOf(deps, asked.token));
        return print(`Revoked ${name} (${id}).`);
      }
      case 'rotate': {
        const id = await idOf(deps, asked.token);
        return await withSecret(asked.secret, { openSink, print }, (newSecret) =>
          rotateToken({ ...deps, newSecret }, CLI, id, asked.formerValidMs),
        );
      }
      default:
        return asked satisfies never;
    }
  } finally {
    await opened.close();
  }
}

/**
 * Writes the secret before the token is made or changed. So if the secret cannot be written, no token is made, and a
 * token that was to be rotated keeps its former secret.
 */
async function withSecret(
  { isForE2b, outputPath }: SecretArguments,
  { openSink, print }: Pick<TokenDeps, 'openSink' | 'print'>,
  make: (makeSecret: () => string) => Promise<TokenWithSecret>,
): Promise<void> {
  const sink = await openSink(outputPath);
  const secret = isForE2b ? newE2bSecret() : newSecret();
  let made: TokenWithSecret;
  try {
    await sink.write(secret).catch((cause: unknown) => {
      throw new Error('The secret could not be written, so no token was made or changed.', {
        cause,
      });
    });
    made = await make(() => secret);
  } catch (error: unknown) {
    await cleanUp(error, [sink.cancel]);
    throw error;
  }
  await sink.close();
  const where = outputPath === null ? 'above' : `in ${outputPath}`;
  const { name, id } = made.token;
  print(`Token ${name} (${id}): its secret is ${where}, and nowhere else.`);
}

/**
 * The id of the token with this id, or of the only token with this name that is not revoked.
 * @throws Error if no token or several match
 */
async function idOf(deps: Parameters<typeof tokens>[0], given: string): Promise<string> {
  const all = await tokens(deps, CLI);
  if (all.some(({ id }) => id === given)) return given;
  const named = all.filter(({ name, revokedAt }) => name === given && revokedAt === null);
  const [one] = named;
  if (one && named.length === 1) return one.id;
  throw new Error(
    named.length > 1
      ? `${named.length} unrevoked tokens are called ${given}. Name one by its id: cellhouse token list`
      : `There is no valid token ${given}. cellhouse token list shows all.`,
  );
}

const COLUMNS = {
  ID: ({ id }) => id,
  NAME: ({ name }) => name,
  ROLE: ({ role }) => role,
  TENANT: ({ tenant }) => tenant,
  USERS: ({ userUuid, userPrefix }) => userUuid ?? (userPrefix === null ? '*' : `${userPrefix}*`),
  DOOR: ({ door }) => door ?? '*',
  'LAST USED': ({ lastUsedAt }) => lastUsedAt?.toISOString().slice(0, 16) ?? 'never',
  STATE: stateOf,
} satisfies Readonly<Record<string, (token: UsedToken) => string>>;

function stateOf({ revokedAt, expiresAt }: UsedToken): string {
  if (revokedAt !== null) return 'revoked';
  if (expiresAt === null) return 'valid';
  const day = expiresAt.toISOString().slice(0, 16);
  return expiresAt <= new Date() ? `expired ${day}` : `valid until ${day}`;
}

function list(all: readonly UsedToken[], isJson: boolean, print: (line: string) => void): void {
  if (isJson) {
    // The hashes are left out, because they tell nothing and look like secrets.
    for (const { secretSha256: _s, formerSha256: _f, version: _v, ...shown } of all)
      print(JSON.stringify(shown));
    return;
  }
  for (const line of tableOf(COLUMNS, all)) print(line);
}
