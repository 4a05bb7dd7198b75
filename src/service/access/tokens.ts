/** The operations on tokens. A token says who may call, for which users, and until when. */
import { DomainError } from '../../domain/errors.ts';
import { parseId, type TokenId } from '../../domain/ids.ts';
import {
  DOORS,
  type Door,
  decideToken,
  type Role,
  secretHash,
  type Token,
  type TokenCommand,
  type UsedToken,
} from '../../domain/token.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import type { Principal } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse, validateNumber, validateUserUuid, validateWord } from '../validate.ts';

// Checks the request for a new token.

interface TokenRequest {
  readonly name: string;
  readonly role: Role;
  /** Null or left out: the caller's. */
  readonly tenant?: string | null | undefined;
  readonly userUuid?: string | null | undefined;
  readonly userPrefix?: string | null | undefined;
  readonly door?: string | null | undefined;
  readonly expiresAt?: Date | null | undefined;
}

/** The validated request, with null for what is left out. @throws BAD_USER_INPUT */
function validateToken(request: TokenRequest, now: Date) {
  const { name, role, expiresAt = null } = request;
  const [userUuid, userPrefix] = validateUsers(request);
  if (expiresAt !== null && expiresAt <= now) refuse('expiresAt', 'must be in the future', {});
  return {
    name: validateWord('name', name),
    role,
    tenant: request.tenant == null ? null : validateWord('tenant', request.tenant),
    userUuid,
    userPrefix,
    door: validateDoor(request.door ?? null),
    expiresAt: expiresAt === null ? null : expiresAt.toISOString(),
  };
}

/** A token with the role USER names one user or a prefix. Any other token names neither. */
function validateUsers({ role, ...given }: TokenRequest): [string | null, string | null] {
  const { userUuid = null, userPrefix = null } = given;
  const count = [userUuid, userPrefix].filter((name) => name !== null).length;
  if (role !== 'USER' && count > 0) {
    refuse('role', `is ${role}: only a token with the role USER is for some users`, {});
  }
  if (role === 'USER' && count !== 1) {
    refuse('role', 'is USER, which needs either userUuid or userPrefix', {});
  }
  if (userUuid !== null) validateUserUuid(userUuid);
  if (userPrefix !== null) validateUserUuid(userPrefix, 'userPrefix');
  return [userUuid, userPrefix];
}

function validateDoor(door: string | null): Door | null {
  const known = DOORS.find((name) => name === door);
  if (door === null || known) return known ?? null;
  return refuse('door', `must be one of ${DOORS.join(', ')}`, {});
}

/** All tokens of all tenants, newest first, including revoked and expired ones. AUTH_TOKEN is not among them. */
export async function tokens(
  { database }: Pick<ServiceDeps, 'database'>,
  _principal: Principal,
): Promise<readonly UsedToken[]> {
  return await database.queries.tokens();
}

export interface TokenWithSecret {
  readonly token: UsedToken;
  /** It is stored nowhere, so this is the only time that it can be read. */
  readonly secret: string;
}

/** Makes a token. @throws BAD_USER_INPUT; QUOTA_EXCEEDED if there are MAX_TOKENS */
export async function createToken(
  {
    config: { maxTokens },
    database,
    newId,
    newSecret,
    now,
  }: Pick<ServiceDeps, 'config' | 'database' | 'newId' | 'newSecret' | 'now'>,
  principal: Principal,
  request: TokenRequest,
): Promise<TokenWithSecret> {
  const { tenant, ...asked } = validateToken(request, now());
  // First stops the gateways of releases that know only AUTH_TOKEN, because they would refuse the new token.
  await database.firstUse.allow('tokens');
  if ((await database.queries.tokenCount()) >= maxTokens) throw tooMany(maxTokens);
  const [id, secret] = [newId<Token['id']>(), newSecret()];
  const facts = {
    tokenId: id,
    tenant: tenant ?? principal.tenant,
    secretSha256: secretHash(secret),
  };
  const command = { type: 'CreateToken', at: now().toISOString(), ...asked, ...facts } as const;
  const { states } = await database.store.commit({
    streams: [{ stream: 'token', id, state: null, events: decideToken(command, null) }],
  });
  return { token: { ...(states[0] as Token), lastUsedAt: null }, secret };
}

/** Simultaneous calls may exceed the limit, at most by their number. The extra tokens only cost a little memory. */
function tooMany(limit: number): DomainError {
  return new DomainError(
    'QUOTA_EXCEEDED',
    `There are ${limit} tokens already. Revoke one, or raise MAX_TOKENS.`,
    { limit },
  );
}

/**
 * Records what a command on a token changes. Resolves with the token afterwards, which is unchanged if the command
 * changes nothing.
 * @throws NOT_FOUND
 */
export async function changeToken(
  { database: { queries, store } }: Pick<ServiceDeps, 'database'>,
  given: string,
  commandOn: (token: Token) => TokenCommand,
): Promise<UsedToken> {
  const id = parseId<TokenId>(given);
  const load = async () => {
    const token = id === null ? null : await queries.usedToken(id);
    if (token === null) throw notFound('token', given);
    return token;
  };
  await decideAndCommit(store, {
    load,
    decide: (state) => {
      const events = decideToken(commandOn(state), state);
      return commitChanges({ streams: [{ stream: 'token', id: state.id, state, events }] });
    },
  });
  return await load();
}

const MS_PER_DAY = 86_400_000;
/** How long a former secret may stay valid, at most. */
const MAX_FORMER_VALID_MS = 30 * MS_PER_DAY;

/**
 * Gives a token another secret. The former one is valid for another `formerValidMs`.
 * @throws BAD_USER_INPUT, also if the token is revoked; NOT_FOUND
 */
export async function rotateToken(
  deps: Pick<ServiceDeps, 'database' | 'newSecret' | 'now'>,
  _principal: Principal,
  tokenId: string,
  formerValidMs: number,
): Promise<TokenWithSecret> {
  validateNumber('formerValidMs', formerValidMs, { min: 0, max: MAX_FORMER_VALID_MS });
  const secret = deps.newSecret();
  const token = await changeToken(deps, tokenId, ({ revokedAt }) => {
    if (revokedAt !== null) {
      throw new DomainError('BAD_USER_INPUT', 'This token is revoked. Create another one.', {
        field: 'id',
      });
    }
    const at = deps.now();
    const formerUntil = new Date(at.getTime() + formerValidMs).toISOString();
    const secretSha256 = secretHash(secret);
    return { type: 'RotateToken', at: at.toISOString(), secretSha256, formerUntil };
  });
  return { token, secret };
}

/**
 * Revokes a token: within a second, every gateway refuses it. Does nothing if it is revoked already.
 * @throws NOT_FOUND
 */
export async function revokeToken(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  _principal: Principal,
  tokenId: string,
): Promise<UsedToken> {
  return await changeToken(deps, tokenId, () => ({
    ...{ type: 'RevokeToken', at: deps.now().toISOString(), reason: 'revoked' },
  }));
}

/**
 * The key to this user's session. The holder of the key acts for this user only, and cannot open a session. A client
 * uses the key where the token must not appear, such as in the URL of a file. The key ends with the caller's token.
 * @throws BAD_USER_INPUT
 */
export function sessionKey(
  { sessionKeys }: Pick<ServiceDeps, 'sessionKeys'>,
  principal: Principal,
  userUuid: string,
): Promise<string> {
  return sessionKeys.keyTo(principal, validateUserUuid(userUuid));
}

/** The caller's own token. Null for AUTH_TOKEN, which is not recorded. */
export async function me(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tokenId }: Principal,
): Promise<UsedToken | null> {
  const id = parseId<TokenId>(tokenId);
  return id === null ? null : await queries.usedToken(id);
}
