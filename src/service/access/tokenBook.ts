/**
 * The tokens that let callers in, kept in memory, so that a check costs no round trip. What changes anywhere comes with
 * its event; `reload` finds what an event did not bring.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import { type Door, evolveToken, type Token, type TokenEvent } from '../../domain/token.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { type ByDoor, byDoor } from '../principal.ts';
import { createEnding, type OpenEnding } from './ending.ts';

/** Whom a token lets in. */
export interface Holder {
  /** The only wire that it is for. Null: all. */
  readonly door: Door | null;
  readonly by: ByDoor;
}

export interface TokenBook {
  /** The holder of the secret with this SHA-256 (base64). Null: it lets nobody in now, as far as this gateway knows. */
  holderOf(secretSha256: string): Holder | null;
  /** Reads the token with this hash, which another gateway may have made a moment ago. Null: there is none. */
  read(secretSha256: string): Promise<Holder | null>;
  apply(event: RecordedEvent): void;
  /** Reads all tokens that are neither revoked nor expired. The others end. */
  reload(): Promise<void>;
  /** Ends the tokens that have expired, with everything that their holders have open. */
  endExpired(): void;
}

interface Entry {
  token: Token;
  readonly holder: Holder;
  readonly ending: OpenEnding;
}

export interface TokenBookDeps {
  readonly queries: Pick<Queries, 'validTokens' | 'tokenBySecret'>;
  readonly now: () => Date;
}

export function createTokenBook({ queries, now }: TokenBookDeps): TokenBook {
  const byId = new Map<string, Entry>();
  const byHash = new Map<string, Entry>();
  /** Those that were revoked since the start. A read that was under way then may still give them as valid. */
  const revoked = new Set<string>();

  function put(token: Token): void {
    const known = byId.get(token.id);
    if (revoked.has(token.id) || (known && known.token.version >= token.version)) return;
    if (known) dropHashes(known.token);
    if (token.revokedAt !== null) {
      revoked.add(token.id);
      byId.delete(token.id);
      known?.ending.end();
      return;
    }
    const entry = known ?? newEntry(token);
    entry.token = token;
    byId.set(token.id, entry);
    for (const hash of hashesOf(token)) byHash.set(hash, entry);
  }

  function dropHashes(token: Token): void {
    for (const hash of hashesOf(token)) byHash.delete(hash);
  }

  function holderOf(secretSha256: string): Holder | null {
    const entry = byHash.get(secretSha256);
    return entry && letsIn(entry.token, secretSha256, now()) ? entry.holder : null;
  }

  return {
    holderOf,
    read: async (secretSha256) => {
      const token = await queries.tokenBySecret(secretSha256);
      if (token) put(token);
      return holderOf(secretSha256);
    },
    apply: ({ streamKind, streamId, version, event }) => {
      if (streamKind !== 'token') return;
      const token = byId.get(streamId)?.token ?? null;
      if (version === (token?.version ?? 0) + 1) put(evolveToken(token, event as TokenEvent));
    },
    reload: async () => {
      const before = [...byId.values()];
      const tokens = await queries.validTokens();
      for (const token of tokens) put(token);
      const valid = new Set<string>(tokens.map(({ id }) => id));
      for (const { token } of before) {
        if (!valid.has(token.id)) put({ ...token, version: token.version + 1, revokedAt: now() });
      }
    },
    endExpired: () => {
      const at = now();
      for (const { token, ending } of [...byId.values()]) {
        if (!hasExpired(token, at)) continue;
        dropHashes(token);
        byId.delete(token.id);
        ending.end();
      }
    },
  };
}

function newEntry(token: Token): Entry {
  const { id: tokenId, role, tenant, userUuid, userPrefix, door } = token;
  const users = userUuid !== null ? { uuid: userUuid } : { prefix: userPrefix ?? '' };
  const ending = createEnding();
  const isForSome = userUuid !== null || userPrefix !== null;
  return {
    token,
    ending,
    holder: {
      door,
      by: byDoor({ tokenId, role, tenant, ending, users: isForSome ? users : null }),
    },
  };
}

/** The former secret, too, which may still be valid. */
function hashesOf({ secretSha256, formerSha256 }: Token): string[] {
  return formerSha256 === null ? [secretSha256] : [secretSha256, formerSha256];
}

function letsIn(token: Token, secretSha256: string, at: Date): boolean {
  if (hasExpired(token, at)) return false;
  return (
    secretSha256 === token.secretSha256 || (token.formerUntil !== null && at < token.formerUntil)
  );
}

function hasExpired({ expiresAt }: Token, at: Date): boolean {
  return expiresAt !== null && at >= expiresAt;
}
