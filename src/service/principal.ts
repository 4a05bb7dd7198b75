import { DomainError } from '../domain/errors.ts';
import { DOORS, type Door, type Role } from '../domain/token.ts';
import { isAmong, type Users } from '../domain/users.ts';
import { NEVER, type TokenEnd } from './access/tokenEnd.ts';
import { validateWord } from './validate.ts';

/** The caller, as the token identifies it. */
export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  readonly tenant: string;
  /** The users of the tenant that the caller acts for. Null: all users of the tenant. Never null for the role USER. */
  readonly users: Users | null;
  /** The wire over which the call arrives. */
  readonly door: Door | 'cli';
  /** The end of the token. */
  readonly tokenEnd: TokenEnd;
  /** The caller presents a key to one session (`access/sessionKeys.ts`), and cannot open another. */
  readonly isOfSession?: true;
}

/** The holder of AUTH_TOKEN, who calls GraphQL. */
export const AUTH_TOKEN_HOLDER: Principal = {
  tokenId: 'auth-token',
  role: 'OPERATOR',
  tenant: 'default',
  users: null,
  door: 'graphql',
  tokenEnd: NEVER,
};

export type ByDoor = Readonly<Record<Door, Principal>>;

/** The principals of one holder, one for each wire. Each is created only once, because maps use principals as keys. */
export function byDoor(holder: Omit<Principal, 'door'>): ByDoor {
  return Object.fromEntries(DOORS.map((door) => [door, { ...holder, door }])) as ByDoor;
}

export const AUTH_TOKEN_BY_DOOR: ByDoor = byDoor(AUTH_TOKEN_HOLDER);

/** Whether the principal sees what belongs to every tenant. Everybody else sees their own tenant only. */
export function seesAllTenants({ role }: Principal): boolean {
  return role === 'OPERATOR';
}

/** Whether the principal sees what belongs to this user of this tenant. */
export function sees(
  principal: Principal,
  owner: { readonly tenant: string; readonly userUuid: string },
): boolean {
  const isOfTenant = seesAllTenants(principal) || principal.tenant === owner.tenant;
  return isOfTenant && actsFor(principal, owner.userUuid);
}

/** Whether the principal acts for this user of its tenant. */
export function actsFor({ users }: Principal, userUuid: string): boolean {
  return users === null || isAmong(users, userUuid);
}

/**
 * The tenant that a call asks for. If the call names no tenant, it is the caller's.
 * @param what what is asked for, such as `the quotas`
 * @throws FORBIDDEN for another tenant, unless the caller is an operator; BAD_USER_INPUT
 */
export function tenantAsked(
  principal: Principal,
  asked: string | null | undefined,
  what: string,
): string {
  if (asked == null) return principal.tenant;
  const named = validateWord('tenant', asked);
  if (seesAllTenants(principal) || named === principal.tenant) return named;
  throw new DomainError('FORBIDDEN', `Only operators see ${what} of other tenants.`);
}
