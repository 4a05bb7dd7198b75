/** A user of a tenant, or a tenant with all of its users. */
export interface Owner {
  readonly tenant: string;
  /** Null: all users of the tenant. */
  readonly userUuid: string | null;
}

/** Some users of a tenant: a single one, or all whose name begins with `prefix`. */
export type Users = { readonly uuid: string } | { readonly prefix: string };

/** The user, if `users` is a single one. Null if there may be several. @param users null: all users of a tenant */
export function singleUser(users: Users | null): string | null {
  return users !== null && 'uuid' in users ? users.uuid : null;
}

export function isAmong(users: Users, userUuid: string): boolean {
  return 'uuid' in users ? users.uuid === userUuid : userUuid.startsWith(users.prefix);
}

/** The users that belong to both. Null if there are none. */
export function both(one: Users, other: Users): Users | null {
  if ('uuid' in one) return isAmong(other, one.uuid) ? one : null;
  if ('uuid' in other) return isAmong(one, other.uuid) ? other : null;
  if (other.prefix.startsWith(one.prefix)) return other;
  return one.prefix.startsWith(other.prefix) ? one : null;
}
