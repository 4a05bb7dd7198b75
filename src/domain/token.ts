/**
 * The life of a token, which lets its holder call Cellhouse.
 *
 * ```
 *  (none) --create--> valid --rotate--> valid
 *                     valid --revoke--> revoked
 * ```
 * An expired token needs no event: its row says when it expires. Only the SHA-256 of the secret is kept. A secret is
 * random and too long to guess, so its hash reveals nothing.
 */
import { hash } from 'node:crypto';
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { TokenId } from './ids.ts';

/** The form in which a token's secret is stored: its SHA-256, in base64. */
export function secretHash(secret: string): string {
  return hash('sha256', secret, 'base64');
}

export const ROLES = ['OPERATOR', 'TENANT', 'USER', 'AUDITOR'] as const;
/** The role of a token, which says what its holder may do. */
export type Role = (typeof ROLES)[number];

/** The protocols for programs that do not speak GraphQL. `src/doors` has a folder for each. */
export const SERVED_DOORS = ['predecessor', 'mcp', 'jupyter', 'e2b'] as const;
export type ServedDoor = (typeof SERVED_DOORS)[number];

export const DOORS = ['graphql', 'files', ...SERVED_DOORS] as const;
/** A protocol through which callers come. */
export type Door = (typeof DOORS)[number];

/** `forgotten`: its user or tenant was forgotten. */
type TokenRevokeReason = 'revoked' | 'forgotten';

export type TokenEvent =
  | Event<
      'TokenCreated',
      {
        tokenId: TokenId;
        name: string;
        role: Role;
        tenant: string;
        /** The only user it is for. At most one of this and `userPrefix` is set, and only for the role USER. */
        userUuid: string | null;
        /** The token is for all users whose name begins with this prefix. */
        userPrefix: string | null;
        /** The only protocol that it works with. Null: all. */
        door: Door | null;
        expiresAt: string | null;
        /** Base64. */
        secretSha256: string;
      }
    >
  /** Its secret was replaced. The former one is valid until `formerUntil`. */
  | Event<'TokenRotated', { secretSha256: string; formerUntil: string }>
  | Event<'TokenRevoked', { reason: TokenRevokeReason }>;

/** The state that a token's events fold into, which is also its row. `version` is that of its stream. */
export interface Token {
  readonly id: TokenId;
  readonly version: number;
  readonly name: string;
  readonly role: Role;
  readonly tenant: string;
  readonly userUuid: string | null;
  readonly userPrefix: string | null;
  readonly door: Door | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly secretSha256: string;
  readonly formerSha256: string | null;
  readonly formerUntil: Date | null;
  readonly revokedAt: Date | null;
  readonly revokeReason: TokenRevokeReason | null;
}

/** A token, and when its holder last called, to the minute. */
export interface UsedToken extends Token {
  /** Null: never. */
  readonly lastUsedAt: Date | null;
}

export type TokenCommand = { readonly at: string } & (
  | ({ readonly type: 'CreateToken' } & Omit<Created, 'at'>)
  | { readonly type: 'RotateToken'; readonly secretSha256: string; readonly formerUntil: string }
  | { readonly type: 'RevokeToken'; readonly reason: TokenRevokeReason }
);

type Created = Extract<TokenEvent, { type: 'TokenCreated' }>['data'];

/**
 * The events that a command on a token records. Pure. A revoked token is not revoked again.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideToken(command: TokenCommand, token: Token | null): TokenEvent[] {
  const { type, ...data } = command;
  if (command.type === 'CreateToken') {
    if (token !== null) throw new WrongStateError('token', stateOf(token), type);
    return [{ type: 'TokenCreated', data: data as Created }];
  }
  if (token === null) throw new WrongStateError('token', 'not created', type);
  switch (command.type) {
    case 'RotateToken': {
      if (token.revokedAt !== null) throw new WrongStateError('token', 'revoked', type);
      const { at, secretSha256, formerUntil } = command;
      return [{ type: 'TokenRotated', data: { at, secretSha256, formerUntil } }];
    }
    case 'RevokeToken': {
      const { at, reason } = command;
      return token.revokedAt === null ? [{ type: 'TokenRevoked', data: { at, reason } }] : [];
    }
    default:
      return command satisfies never;
  }
}

function stateOf({ revokedAt }: Token): string {
  return revokedAt === null ? 'valid' : 'revoked';
}

/**
 * The token after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveToken(state: Token | null, event: TokenEvent): Token {
  if (event.type === 'TokenCreated') return created(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'TokenRotated': {
      const { secretSha256, formerUntil } = event.data;
      const former = { formerSha256: state.secretSha256, formerUntil: new Date(formerUntil) };
      return { ...next, ...former, secretSha256 };
    }
    case 'TokenRevoked':
      return { ...next, revokedAt: new Date(event.data.at), revokeReason: event.data.reason };
    default:
      return event satisfies never;
  }
}

function created({ at, tokenId: id, expiresAt, ...data }: Created, version: number): Token {
  return {
    id,
    version: version + 1,
    name: data.name,
    role: data.role,
    tenant: data.tenant,
    userUuid: data.userUuid,
    userPrefix: data.userPrefix,
    door: data.door,
    createdAt: new Date(at),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    secretSha256: data.secretSha256,
    formerSha256: null,
    formerUntil: null,
    revokedAt: null,
    revokeReason: null,
  };
}
