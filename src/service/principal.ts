/** What the holder of a token may do, before anything else about them is known (access/permissions.ts). */
export const ROLES = ['OPERATOR', 'TENANT', 'USER', 'AUDITOR'] as const;
export type Role = (typeof ROLES)[number];

/** Who makes a call: what their token says. */
export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  readonly tenant: string;
  /** The only users that the holder acts for, if the role is USER: one user, or all whose name begins so. */
  readonly users: { readonly uuid: string } | { readonly prefix: string } | null;
}

/** The holder of AUTH_TOKEN. */
export const AUTH_TOKEN_HOLDER: Principal = {
  tokenId: 'auth-token',
  role: 'OPERATOR',
  tenant: 'default',
  users: null,
};

/** Whether the principal acts for this user of its tenant. */
export function actsFor({ users }: Principal, userUuid: string): boolean {
  if (users === null) return true;
  return 'uuid' in users ? users.uuid === userUuid : userUuid.startsWith(users.prefix);
}
