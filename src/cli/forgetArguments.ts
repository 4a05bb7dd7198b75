import type { Owner } from '../domain/owner.ts';
import { parseOptions } from './parseOptions.ts';

/** The tenant of AUTH_TOKEN. */
const DEFAULT_TENANT = 'default';
const EXAMPLE = 'Example: cellhouse forget --user ann --tenant default';

export interface ForgetRequest {
  readonly owner: Owner;
  /** Whether the operator has confirmed on the command line. */
  readonly isConfirmed: boolean;
}

/** Parses the words after `cellhouse forget`. @throws Error that says what is wrong, with a correct example */
export function forgetArguments(words: readonly string[]): ForgetRequest {
  const options = {
    user: { type: 'string' },
    tenant: { type: 'string' },
    yes: { type: 'boolean', default: false },
  } as const;
  const { user, tenant, yes: isConfirmed } = parseOptions(words, { options }).values;
  if (user === '') throw new Error(`--user needs the name of a user. ${EXAMPLE}`);
  if (tenant === '') throw new Error(`--tenant needs the name of a tenant. ${EXAMPLE}`);
  if (user !== undefined)
    return { owner: { tenant: tenant ?? DEFAULT_TENANT, userUuid: user }, isConfirmed };
  if (tenant !== undefined) return { owner: { tenant, userUuid: null }, isConfirmed };
  throw new Error(`--user or --tenant is needed: who is to be forgotten? ${EXAMPLE}`);
}
