import { SERVED_DOORS, type ServedDoor } from '../domain/token.ts';
import { urlOf } from './gatewayUrl.ts';
import { parseOptions } from './parseOptions.ts';
import { durationOf, wrong } from './tokenArguments.ts';

/** What `cellhouse doors` is asked to do. */
export interface DoorsArguments {
  /** Null: all that are open. */
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
    outputPath: given.output ?? null,
  };
}

function doorOf(given: string): ServedDoor {
  const door = SERVED_DOORS.find((each) => each === given);
  if (door === undefined) throw wrong(`--door must be one of ${SERVED_DOORS.join(', ')}`, given);
  return door;
}
