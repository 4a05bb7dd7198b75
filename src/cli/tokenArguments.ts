import type { ParseArgsConfig } from 'node:util';
import { quoted } from '../domain/quoted.ts';
import { ROLES, type Role } from '../domain/token.ts';
import { parseOptions } from './parseOptions.ts';

/** What `cellhouse token` is asked to do. */
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

/** How the secret is made, and where it goes. */
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
/** By the names of the options. `--json` has no value, and is true. */
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

/** @throws Error */
export function durationOf(given: string | null): number | null {
  if (given === null) return null;
  const [, count, unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(given) ?? [];
  if (count === undefined) throw wrong('--expires-in must be like 30d, 12h, 90m or 60s', given);
  return Number(count) * (MS_PER[unit] ?? 0);
}

function secretArguments({ shape = 'ch', output }: Values): SecretArguments {
  if (shape !== 'ch' && shape !== 'e2b') throw wrong('--shape must be ch or e2b', shape);
  if (output === '') throw new Error('--output needs the name of a file.');
  return { isForE2b: shape === 'e2b', outputPath: output ?? null };
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
