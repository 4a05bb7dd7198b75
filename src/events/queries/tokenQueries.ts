import type { TokenId } from '../../domain/ids.ts';
import type { Token, UsedToken } from '../../domain/token.ts';
import type { Client } from '../connection/client.ts';

/** The most events that are searched for changes of tokens: some seconds of a busy installation. */
const MAX_SEARCHED_EVENTS = 10_000;

/** Tokens as of a position, or newer. */
export interface ReadTokens {
  readonly tokens: readonly Token[];
  readonly position: number;
}

export type TokenQueries = ReturnType<typeof createTokenQueries>;

export function createTokenQueries({ sql, answered }: Client) {
  const isValid = () =>
    sql`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  async function lastPosition(): Promise<number> {
    const [row] = await answered(sql<{ position: number }[]>`
      SELECT coalesce(max(position), 0) AS position FROM events`);
    return row?.position ?? 0;
  }

  return {
    /** The newest first. */
    tokens: async (): Promise<UsedToken[]> =>
      await answered(sql<UsedToken[]>`
        SELECT t.*, u.used_at AS last_used_at FROM tokens t LEFT JOIN token_uses u ON u.token_id = t.id
        ORDER BY t.id DESC`),

    /** The newest first. @param before only tokens that are older than the token with this id */
    tokenPage: async (before: string | null, limit: number): Promise<UsedToken[]> =>
      await answered(sql<UsedToken[]>`
        SELECT t.*, u.used_at AS last_used_at FROM tokens t LEFT JOIN token_uses u ON u.token_id = t.id
        ${before === null ? sql`` : sql`WHERE t.id < ${before}`} ORDER BY t.id DESC LIMIT ${limit}`),

    usedToken: async (id: TokenId): Promise<UsedToken | null> => {
      const [token] = await answered(sql<UsedToken[]>`
        SELECT t.*, u.used_at AS last_used_at FROM tokens t LEFT JOIN token_uses u ON u.token_id = t.id
        WHERE t.id = ${id}`);
      return token ?? null;
    },

    /** Records that these tokens are used at this time. Other gateways may do so at the same time. */
    recordTokenUses: async (ids: readonly string[], at: Date): Promise<void> => {
      await answered(sql`
        INSERT INTO token_uses AS u (token_id, used_at)
        SELECT id, ${at}::timestamptz FROM unnest(${[...ids].sort()}::uuid[]) AS t (id)
        ON CONFLICT (token_id) DO UPDATE SET used_at = greatest(u.used_at, excluded.used_at)`);
    },

    token: async (id: TokenId): Promise<Token | null> => {
      const [token] = await answered(sql<Token[]>`SELECT * FROM tokens WHERE id = ${id}`);
      return token ?? null;
    },

    /** All that are neither revoked nor expired. */
    validTokens: async (): Promise<ReadTokens> => {
      // The position is read first, so the tokens are as of this position or newer.
      const position = await lastPosition();
      return {
        position,
        tokens: await answered(sql<Token[]>`SELECT * FROM tokens WHERE ${isValid()}`),
      };
    },

    /**
     * The tokens that were made, rotated or revoked after the event at this position. Null if all valid tokens must be
     * read instead, because there are too many events to search, or fewer events than before.
     */
    changedTokens: async (after: number): Promise<ReadTokens | null> => {
      const position = await lastPosition();
      if (position === after) return { tokens: [], position };
      if (position < after || position > after + MAX_SEARCHED_EVENTS) return null;
      const tokens = await answered(sql<Token[]>`
        SELECT * FROM tokens WHERE id IN (
          SELECT substr(stream_id, 7)::uuid FROM events
          WHERE position > ${after} AND position <= ${position} AND starts_with(stream_id, 'token-'))`);
      return { tokens, position };
    },

    tokenCount: async (): Promise<number> => {
      const [row] = await answered(sql<{ count: number }[]>`
        SELECT count(*)::int AS count FROM tokens WHERE ${isValid()}`);
      return row?.count ?? 0;
    },

    /** The token whose secret, or former secret, has this SHA-256 (base64). Null if there is none. */
    tokenBySecret: async (secretSha256: string): Promise<Token | null> => {
      const [token] = await answered(sql<Token[]>`
        SELECT * FROM tokens WHERE secret_sha256 = ${secretSha256} OR former_sha256 = ${secretSha256}`);
      return token ?? null;
    },
  };
}
