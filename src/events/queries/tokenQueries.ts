import type { TokenId } from '../../domain/ids.ts';
import type { Token } from '../../domain/token.ts';
import type { Client } from '../connection/client.ts';

export type TokenQueries = ReturnType<typeof createTokenQueries>;

export function createTokenQueries({ sql, answered }: Client) {
  const isValid = () =>
    sql`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  return {
    /** The newest first. */
    tokens: async (): Promise<Token[]> =>
      await answered(sql<Token[]>`SELECT * FROM tokens ORDER BY id DESC`),

    token: async (id: TokenId): Promise<Token | null> => {
      const [token] = await answered(sql<Token[]>`SELECT * FROM tokens WHERE id = ${id}`);
      return token ?? null;
    },

    /** Another text whenever a token was made, rotated or revoked: versions only rise, and no row is deleted. */
    tokensMark: async (): Promise<string> => {
      const [row] = await answered(sql<{ mark: string }[]>`
        SELECT count(*) || ':' || coalesce(sum(version), 0) AS mark FROM tokens`);
      return row?.mark ?? '';
    },

    /** All that are neither revoked nor expired. */
    validTokens: async (): Promise<Token[]> =>
      await answered(sql<Token[]>`SELECT * FROM tokens WHERE ${isValid()}`),

    tokenCount: async (): Promise<number> => {
      const [row] = await answered(sql<{ count: number }[]>`
        SELECT count(*)::int AS count FROM tokens WHERE ${isValid()}`);
      return row?.count ?? 0;
    },

    /** The one whose secret, or whose former secret, has this SHA-256 (base64). Null: there is none. */
    tokenBySecret: async (secretSha256: string): Promise<Token | null> => {
      const [token] = await answered(sql<Token[]>`
        SELECT * FROM tokens WHERE secret_sha256 = ${secretSha256} OR former_sha256 = ${secretSha256}`);
      return token ?? null;
    },
  };
}
