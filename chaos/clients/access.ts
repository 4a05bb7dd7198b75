/** The token of one user, which is replaced again and again. */
import type { Credentials } from './attempts.ts';
import type { Operator, TokenWish } from './operator.ts';

const TENANTS = ['default', 'acme', 'globex'] as const;

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
  const wish = wishOf(user, index);
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

function wishOf(user: string, index: number): TokenWish {
  const kinds = [
    { role: 'USER', userUuid: user },
    { role: 'USER', userPrefix: user },
    { role: 'TENANT' },
  ] as const;
  // The tenants of one kind differ, and so do the kinds of one tenant.
  const tenant = TENANTS[(index + Math.floor(index / kinds.length)) % TENANTS.length];
  const kind = kinds[index % kinds.length];
  if (!tenant || !kind) throw new RangeError(`A user has no negative number like ${index}.`);
  return { name: user, tenant, ...kind };
}
