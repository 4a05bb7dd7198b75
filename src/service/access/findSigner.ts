/** Finds the key that made a signature, when the signed request does not name its session. */
import { BoundedMap } from '../../domain/boundedMap.ts';
import type { Door } from '../../domain/token.ts';
import type { OpenSessions } from '../openSessions.ts';
import type { Principal } from '../principal.ts';
import { givesKeysAt, type KnownToken } from './tokenBook.ts';

/** How many valid signatures are remembered. A page may ask for the same files again and again. */
const MAX_REMEMBERED = 1_000;

/** Something that was signed with a key to a session. */
export interface Signed {
  readonly signature: string;
  /** Whether it was signed with this key. */
  readonly isBy: (key: string) => boolean;
  readonly names: SessionNames;
}

/** How a door names the users of its sessions: all names of one holder of a token have the same prefix. */
export interface SessionNames {
  readonly prefixOf: (holder: Principal) => string;
  /** The prefix of a user's name that has the form of this door. Null: the name does not have it. */
  readonly prefixIn: (userUuid: string) => string | null;
}

export interface Signer {
  readonly token: KnownToken;
  readonly userUuid: string;
}

export interface FindSignerDeps {
  readonly keyOf: (token: KnownToken, secretSha256: string, userUuid: string) => string;
  readonly sessions: Pick<OpenSessions, 'all' | 'get'>;
  /** All tokens that are valid now, as far as this gateway knows. */
  readonly tokens: () => readonly KnownToken[];
  /** Resolves when this gateway knows every session and token that existed before the call. */
  readonly catchUp: () => Promise<void>;
}

/**
 * Tries each open session with each token that may have a key to it. The result is null if no key made the signature.
 */
export function createFindSigner({ keyOf, sessions, tokens, catchUp }: FindSignerDeps) {
  const lately = new BoundedMap<string, { readonly tokenId: string; readonly userUuid: string }>(
    MAX_REMEMBERED,
  );

  function signs({ token, userUuid }: Signer, { isBy }: Signed): boolean {
    return token.secrets.some((secret) => isBy(keyOf(token, secret, userUuid)));
  }

  function remembered(door: Door, signed: Signed): Signer | null {
    const known = lately.get(signed.signature);
    const token = known && tokens().find(({ id }) => id === known.tokenId);
    if (!known || !token || !givesKeysAt(door, token)) return null;
    const isOpen = sessions.get(token.holder.by[door].tenant, known.userUuid) !== null;
    const signer = { token, userUuid: known.userUuid };
    return isOpen && signs(signer, signed) ? signer : null;
  }

  function search(door: Door, signed: Signed): Signer | null {
    const { prefixOf, prefixIn } = signed.names;
    const byPrefix = new Map<string, KnownToken[]>();
    for (const token of tokens()) {
      if (!givesKeysAt(door, token)) continue;
      const holder = token.holder.by[door];
      const place = placeOf(holder.tenant, prefixOf(holder));
      const same = byPrefix.get(place);
      if (same) same.push(token);
      else byPrefix.set(place, [token]);
    }
    for (const { tenant, userUuid } of sessions.all()) {
      for (const token of byPrefix.get(placeOf(tenant, prefixIn(userUuid))) ?? []) {
        const signer = { token, userUuid };
        if (signs(signer, signed)) return signer;
      }
    }
    return null;
  }

  return async (door: Door, signed: Signed): Promise<Signer | null> => {
    let signer = remembered(door, signed) ?? search(door, signed);
    if (signer === null) {
      // Its session may have been opened at another gateway a moment ago.
      await catchUp();
      signer = search(door, signed);
    }
    if (signer !== null)
      lately.set(signed.signature, { tokenId: signer.token.id, userUuid: signer.userUuid });
    return signer;
  };
}

function placeOf(tenant: string, prefix: string | null): string {
  return JSON.stringify([tenant, prefix]);
}
