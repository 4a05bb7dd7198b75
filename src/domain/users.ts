/** Some users of a tenant: a single one, or all whose name begins so. */
export type Users = { readonly uuid: string } | { readonly prefix: string };

/** The user, if it is a single one. Null: there are several. @param users null: all of a tenant */
export function singleUser(users: Users | null): string | null {
  return users !== null && 'uuid' in users ? users.uuid : null;
}

export function isAmong(users: Users, userUuid: string): boolean {
  return 'uuid' in users ? users.uuid === userUuid : userUuid.startsWith(users.prefix);
}

/** The users that are among both. Null: there are none. */
export function both(one: Users, other: Users): Users | null {
  if ('uuid' in one) return isAmong(other, one.uuid) ? one : null;
  if ('uuid' in other) return isAmong(one, other.uuid) ? other : null;
  if (other.prefix.startsWith(one.prefix)) return other;
  return one.prefix.startsWith(other.prefix) ? one : null;
}
