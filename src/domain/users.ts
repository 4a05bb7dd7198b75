/** Some users of a tenant: a single one, or all whose name begins so. */
export type Users = { readonly uuid: string } | { readonly prefix: string };

/** The user, if it is a single one. Null: there are several. @param users null: all of a tenant */
export function singleUser(users: Users | null): string | null {
  return users !== null && 'uuid' in users ? users.uuid : null;
}

export function isAmong(users: Users, userUuid: string): boolean {
  return 'uuid' in users ? users.uuid === userUuid : userUuid.startsWith(users.prefix);
}
