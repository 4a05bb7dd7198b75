import { DOORS, type Door, type Role } from '../domain/token.ts';
import { isAmong, type Users } from '../domain/users.ts';
import { NEVER, type TokenEnd } from './access/tokenEnd.ts';

/** Who makes a call: what their token says. */
export interface Principal {
  readonly tokenId: string;
  readonly role: Role;
  readonly tenant: string;
  /** The users of the tenant that the holder acts for. Null: all. The role USER has some. */
  readonly users: Users | null;
  /** The wire that the call comes by. */
  readonly door: Door | 'cli';
  /** The end of the token. */
  readonly tokenEnd: TokenEnd;
  /** The holder shows a key to one session (`access/sessionKeys.ts`), and can open no other. */
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

/** One principal for each wire that the same holder calls by. A principal is made once, so that it can be a key. */
export function byDoor(holder: Omit<Principal, 'door'>): ByDoor {
  return Object.fromEntries(DOORS.map((door) => [door, { ...holder, door }])) as ByDoor;
}

export const AUTH_TOKEN_BY_DOOR: ByDoor = byDoor(AUTH_TOKEN_HOLDER);

/** Whether something that belongs to this user of this tenant exists for the principal. */
export function sees(
  principal: Principal,
  owner: { readonly tenant: string; readonly userUuid: string },
): boolean {
  const isOfTenant = principal.role === 'OPERATOR' || principal.tenant === owner.tenant;
  return isOfTenant && actsFor(principal, owner.userUuid);
}

/** Whether the principal acts for this user of its tenant. */
export function actsFor({ users }: Principal, userUuid: string): boolean {
  return users === null || isAmong(users, userUuid);
}
