/**
 * What is stored about a request under an idempotency key, so that a later request can be compared with it: a keyed
 * hash of each field. As each field has a hash of its own, a conflict can name the fields that differ. As the hash is
 * keyed, a reader of the table of idempotency keys can neither find a value by hashing guesses, nor see which requests
 * have the same value.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { RequestFacts } from '../../domain/requestFacts.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/** The name of the secret in the table `secrets`. */
const SECRET_NAME = 'request-hash';
/** As long as the hash. A longer secret is not safer. */
const SECRET_BYTES = 32;
/** The prefix of the stored text. Another way of hashing must have another prefix (decision 0037). */
const VERSION = 'v1:';

/** The holder of an idempotency key. Each hash depends on it. */
export interface KeyName {
  readonly tenant: string;
  readonly userUuid: string;
  readonly key: string;
}

export interface RequestHashes {
  /**
   * Reads the secret, or creates it if this is the first gateway. Must be awaited before the other methods are called.
   */
  load(): Promise<void>;
  /** The text to store: the version, then JSON with the hash of each field. */
  of(key: KeyName, facts: RequestFacts): string;
  /**
   * The names of the fields in which a request differs from the stored one, including fields that only one of them has.
   * @throws Error if a later release has stored the request in a way that this release does not know
   */
  differences(key: KeyName, facts: RequestFacts, stored: string): string[];
}

export function createRequestHashes(queries: Pick<Queries, 'sharedSecret'>): RequestHashes {
  let secret: Buffer | null = null;

  /** JSON is canonical here, because all values are strings. It also keeps different lone surrogates distinct. */
  function hashField({ tenant, userUuid, key }: KeyName, name: string, value: string): string {
    if (secret === null) throw new Error('The secret of request hashes is not loaded yet.');
    const text = JSON.stringify([tenant, userUuid, key, name, value]);
    return createHmac('sha256', secret).update(text).digest('base64url');
  }

  function hashFields(key: KeyName, facts: RequestFacts): Record<string, string> {
    return Object.fromEntries(
      Object.entries(facts).map(([name, value]) => [name, hashField(key, name, value)]),
    );
  }

  return {
    load: async () => {
      const proposed = randomBytes(SECRET_BYTES).toString('base64');
      secret = Buffer.from(await queries.sharedSecret(SECRET_NAME, proposed), 'base64');
    },
    of: (key, facts) => VERSION + JSON.stringify(hashFields(key, facts)),
    differences: (key, facts, stored) => differentNames(hashFields(key, facts), parse(stored)),
  };
}

type Fields = Readonly<Record<string, string>>;

function differentNames(asked: Fields, stored: Fields): string[] {
  const names = new Set([...Object.keys(asked), ...Object.keys(stored)]);
  return [...names].filter((name) => asked[name] !== stored[name]).sort();
}

function parse(stored: string): Fields {
  if (!stored.startsWith(VERSION))
    throw new Error(
      'A later release has stored this idempotency key in a way unknown to this one.',
    );
  return JSON.parse(stored.slice(VERSION.length)) as Fields;
}
