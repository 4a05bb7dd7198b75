/** The token of one user, which is replaced again and again. */
import type { Wire } from '../history.ts';
import type { Credentials } from './attempts.ts';
import type { Operator, TokenWish } from './operator.ts';

const TENANTS = ['default', 'acme', 'globex'] as const;
/** How many kinds of tokens there are. */
const KINDS = 3;

export interface Access extends Credentials {
  /** Gives the user another token, and then revokes the former one. Resolves with the secret of that. */
  replace(): Promise<string>;
}

/** @param index the user's number: it decides on the tenant, and on what the token says of its holder */
export async function createAccess(
  operator: Operator,
  user: string,
  index: number,
): Promise<Access> {
  return await accessFor(operator, wishOf(user, index));
}

/**
 * For the one user of a door, who is called like it. Nobody else is in that user's tenant: else its quotas, which are
 * tight, would not suffice for all.
 */
export async function createDoorAccess(operator: Operator, door: Wire): Promise<Access> {
  const wish = { name: door, tenant: door, role: 'USER', userUuid: door, door } as const;
  return await accessFor(operator, wish);
}

async function accessFor(operator: Operator, wish: TokenWish): Promise<Access> {
  let current = await operator.createToken(wish);
  return {
    get token() {
      return current.secret;
    },
    replace: async () => {
      const former = current;
      current = await operator.createToken(wish);
      await operator.revokeToken(former.id);
      return former.secret;
    },
  };
}

/** The name of the user with this number. */
export function userName(index: number): string {
  return `user${index}`;
}

/** The tenant of the user with this number. The tenants of users with one kind of token differ, and the other way round. */
export function tenantOf(index: number): string {
  return TENANTS[(index + Math.floor(index / KINDS)) % TENANTS.length] ?? '';
}

function wishOf(user: string, index: number): TokenWish {
  const kinds = [
    { role: 'USER', userUuid: user },
    { role: 'USER', userPrefix: user },
    { role: 'TENANT' },
  ] as const;
  const kind = kinds[index % KINDS];
  if (!kind) throw new RangeError(`No user has the number ${index}.`);
  return { name: user, tenant: tenantOf(index), ...kind };
}
