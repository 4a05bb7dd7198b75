/** A sandbox is a session. Its id is in the name of the session's user, so every gateway knows which session is meant. */
import { randomBytes } from 'node:crypto';
import type { SessionNames } from '../../../service/access/sessionKeys.ts';
import type { Principal } from '../../../service/principal.ts';
import { sessionPrefixOf } from '../../shared/place.ts';

/** The ids that E2B's own proxy accepts. */
const SANDBOX_ID = /^i[0-9a-z]{20}$/;
const ID_LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 20;
/** The largest multiple of 36 in a byte: what is above would make some letters more likely than others. */
const EVEN_BYTES = 252;
/** How the prefix of every session of this door ends. */
const PREFIX_END = ':e2b:';

export function isSandboxId(given: string): boolean {
  return SANDBOX_ID.test(given);
}

/** An id that nobody can guess: it is part of what a key to the sandbox derives from. */
export function newSandboxId(): string {
  let letters = '';
  while (letters.length < ID_LENGTH)
    for (const byte of randomBytes(ID_LENGTH))
      if (byte < EVEN_BYTES) letters += ID_LETTERS[byte % ID_LETTERS.length];
  return `i${letters.slice(0, ID_LENGTH)}`;
}

/** The user of the session that is this sandbox of the holder. */
export function userOf(holder: Principal, sandboxId: string): string {
  return `${sessionPrefixOf(holder)}${sandboxId}`;
}

/** The id of the sandbox that is the session of this user. Null: it is none of this door. */
export function sandboxIdIn(userUuid: string): string | null {
  const prefix = prefixIn(userUuid);
  return prefix === null ? null : userUuid.slice(prefix.length);
}

function prefixIn(userUuid: string): string | null {
  const end = userUuid.lastIndexOf(PREFIX_END) + PREFIX_END.length;
  return isSandboxId(userUuid.slice(end)) ? userUuid.slice(0, end) : null;
}

export const SANDBOX_NAMES: SessionNames = { prefixOf: sessionPrefixOf, prefixIn };
