/** Checks the request for a new token. */
import { isPlainName } from '../../domain/plainName.ts';
import { DOORS, type Door, type Role } from '../../domain/token.ts';
import { refuse, validateUserUuid } from '../validate.ts';

export interface TokenRequest {
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
export function validateToken(request: TokenRequest, now: Date) {
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

/** @throws BAD_USER_INPUT */
export function validateWord(field: string, text: string): string {
  if (isPlainName(text)) return text;
  return refuse(field, 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -', { limit: 64 });
}

function validateDoor(door: string | null): Door | null {
  const known = DOORS.find((name) => name === door);
  if (door === null || known) return known ?? null;
  return refuse('door', `must be one of ${DOORS.join(', ')}`, {});
}
