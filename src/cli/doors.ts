/** `cellhouse doors`: makes tokens for clients, and prints what to paste into them. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import { SERVED_DOORS, type ServedDoor } from '../domain/token.ts';
import { openDatabase } from '../events/openDatabase.ts';
import { databaseAddress } from '../gateway.ts';
import { newE2bSecret, newSecret } from '../process/dataDir.ts';
import { newId } from '../process/newId.ts';
import { withActor } from '../service/access/actorDeps.ts';
import { createToken, revokeToken, type TokenWithSecret } from '../service/access/tokens.ts';
import { clientsText } from './clients.ts';
import { cleanUp, parseOptions } from './commandLine.ts';
import { listeningUrl, urlOf } from './gatewayClient.ts';
import { openSecretSink } from './secretSink.ts';
import { CLI, durationOf, type TokenDeps, wrong } from './token.ts';

/** The parsed arguments of `cellhouse doors`. */
export interface DoorsArguments {
  /** Null: all open doors. */
  readonly door: ServedDoor | null;
  /** The first part of the tokens' names. The name of the door is added to it. */
  readonly name: string;
  readonly tenant: string | null;
  readonly userUuid: string | null;
  readonly userPrefix: string | null;
  readonly expiresInMs: number | null;
  /** The URL under which clients reach the gateway, without a slash at its end. Null: HOST and PORT. */
  readonly url: string | null;
  /** The file for the lines, which contain secrets. Null: the terminal. */
  readonly outputPath: string | null;
}

const text = { type: 'string' } as const;
const OPTIONS = {
  ...{ door: text, name: text, tenant: text, user: text, 'user-prefix': text },
  ...{ 'expires-in': text, url: text, output: text },
};

/** Parses the words after `cellhouse doors`. @throws Error that says what is wrong, with a correct example */
export function doorsArguments(words: readonly string[]): DoorsArguments {
  const { values } = parseOptions(words, { options: OPTIONS });
  const given = values as Readonly<Record<string, string | undefined>>;
  if (given.output === '') throw new Error('--output needs the name of a file.');
  return {
    door: given.door === undefined ? null : doorOf(given.door),
    name: given.name ?? 'door',
    tenant: given.tenant ?? null,
    userUuid: given.user ?? null,
    userPrefix: given['user-prefix'] ?? null,
    expiresInMs: durationOf(given['expires-in'] ?? null),
    url: given.url === undefined ? null : urlOf('--url', given.url),
    outputPath: given.output === undefined ? null : resolve(given.output),
  };
}

function doorOf(given: string): ServedDoor {
  const door = SERVED_DOORS.find((each) => each === given);
  if (door === undefined) throw wrong(`--door must be one of ${SERVED_DOORS.join(', ')}`, given);
  return door;
}

/** The program that hosts on this machine start as a command. */
const PROGRAM = fileURLToPath(new URL('../cli.js', import.meta.url));

/**
 * `cellhouse doors`: makes a token for each door, and shows what to paste into each client.
 * @param words the arguments after `doors`
 */
export async function doors(words: readonly string[]): Promise<void> {
  const asked = doorsArguments(words);
  const config = loadConfig(process.env);
  const logger = pino({ level: config.logLevel });
  const address = await databaseAddress(config, logger);
  const print = (line: string) => console.log(line);
  await runDoors(asked, { config, address, logger, openSink: openSecretSink, print });
}

/**
 * The work of {@link doors} on a database. If anything fails, no token is left.
 * @throws AggregateError that names each token that could not be revoked
 */
export async function runDoors(asked: DoorsArguments, deps: TokenDeps): Promise<void> {
  const { config, address, logger, openSink, print } = deps;
  const open = doorsToShow(asked.door, config);
  const opened = await openDatabase(address, { gatewayId: newId(), logger, newId });
  const database = withActor(opened, CLI);
  const tokenDeps = { config, database, newId, newSecret, now: () => new Date() };
  const made: TokenWithSecret[] = [];
  const revocation = (each: TokenWithSecret) => () => revoke(tokenDeps, each);
  try {
    const sink = await openSink(asked.outputPath);
    try {
      for (const door of open) {
        const secret = door === 'e2b' ? { newSecret: newE2bSecret } : {};
        made.push(await createToken({ ...tokenDeps, ...secret }, CLI, requestOf(asked, door)));
      }
      await sink.write(made.map((each, at) => textOf(each, open[at], asked, config)).join('\n'));
      await sink.close();
    } catch (error: unknown) {
      await cleanUp(error, [sink.cancel, ...made.map(revocation)]);
      throw error;
    }
  } finally {
    await opened.close();
  }
  const where =
    asked.outputPath === null ? 'Above are the secrets' : `All is in ${asked.outputPath}`;
  print(`${where}, and nowhere else. Tokens: ${made.map(({ token }) => token.name).join(', ')}`);
}

/** @throws Error if the token cannot be revoked. It says how to revoke the token by hand */
async function revoke(
  deps: Parameters<typeof revokeToken>[0],
  { token: { id, name } }: TokenWithSecret,
): Promise<void> {
  await revokeToken(deps, CLI, id).catch((cause: unknown) => {
    const message = `The token ${name} is left. Revoke it: cellhouse token revoke ${id}`;
    throw new Error(message, { cause });
  });
}

/** @throws Error if the door is closed, or if all doors are closed */
function doorsToShow(door: ServedDoor | null, { doors: open }: Config): readonly ServedDoor[] {
  if (door !== null && !open.includes(door))
    throw new Error(`The door ${door} is closed. Name it in DOORS, here and for the gateway.`);
  if (open.length === 0) throw new Error('All doors are closed: DOORS is none.');
  return door === null ? open : [door];
}

function requestOf(
  { name, tenant, userUuid, userPrefix, expiresInMs }: DoorsArguments,
  door: ServedDoor,
) {
  const role = userUuid === null && userPrefix === null ? ('TENANT' as const) : ('USER' as const);
  const expiresAt = expiresInMs === null ? null : new Date(Date.now() + expiresInMs);
  // Each sandbox of E2B is a user of its own, whose name begins with the name of the token's user. So the token is for
  // all users with this prefix.
  const users =
    door === 'e2b' && userUuid !== null
      ? { userUuid: null, userPrefix: userUuid }
      : { userUuid, userPrefix };
  return { name: `${name}-${door}`, role, tenant, ...users, door, expiresAt };
}

function textOf(
  { secret, token: { name, id } }: TokenWithSecret,
  door: ServedDoor | undefined,
  { url }: DoorsArguments,
  config: Config,
): string {
  if (door === undefined) throw new Error('There are more tokens than doors.');
  const at = { url: url ?? listeningUrl(config), token: secret, program: PROGRAM };
  return `${clientsText(door, at)}\nThe token ${name} (${id}) is for this door only.\n`;
}
