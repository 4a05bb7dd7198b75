import type { Owner } from '../domain/owner.ts';
import { parseOptions } from './parseOptions.ts';

/** The tenant of AUTH_TOKEN. */
const DEFAULT_TENANT = 'default';
const EXAMPLE = 'Example: cellhouse forget --user ann --tenant default';

/** Parses the words after `cellhouse forget`. @throws Error that says what is wrong, with a correct example */
export function forgetArguments(words: readonly string[]): Owner {
  const options = { user: { type: 'string' }, tenant: { type: 'string' } } as const;
  const { user, tenant } = parseOptions(words, { options }).values;
  if (user === '') throw new Error(`--user needs the name of a user. ${EXAMPLE}`);
  if (tenant === '') throw new Error(`--tenant needs the name of a tenant. ${EXAMPLE}`);
  if (user !== undefined) return { tenant: tenant ?? DEFAULT_TENANT, userUuid: user };
  if (tenant !== undefined) return { tenant, userUuid: null };
  throw new Error(`--user or --tenant is needed: who is to be forgotten? ${EXAMPLE}`);
}
