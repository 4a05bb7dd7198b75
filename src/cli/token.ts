import { type Logger, pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import { CLI_ACTOR } from '../domain/events.ts';
import type { GatewayId } from '../domain/ids.ts';
import type { UsedToken } from '../domain/token.ts';
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
import { cleanUp } from './cleanUp.ts';
import { type OpenSecretSink, openSecretSink } from './secretSink.ts';
import { tableOf } from './tableOf.ts';
import { type SecretArguments, type TokenArguments, tokenArguments } from './tokenArguments.ts';

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
  /** Prints a line, which never has a secret. */
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
 * The secret is safe before the token is made or changed. So if it cannot be written, nothing is made, and a token that
 * was to be rotated keeps its secret.
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
  const where = outputPath === null ? 'Above is its secret' : `Its secret is in ${outputPath}`;
  print(`${where}, and nowhere else. Token ${made.token.name}: ${made.token.id}`);
}

/**
 * The id of the token with this id, or of the only valid token with this name.
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
      ? `${named.length} valid tokens are called ${given}. Name one by its id: cellhouse token list`
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
