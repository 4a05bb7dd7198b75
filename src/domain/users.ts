/** Some users of a tenant: a single one, or all whose name begins so. */
export type Users = { readonly uuid: string } | { readonly prefix: string };

export function isAmong(users: Users, userUuid: string): boolean {
  return 'uuid' in users ? users.uuid === userUuid : userUuid.startsWith(users.prefix);
}
