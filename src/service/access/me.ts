import { parseId, type TokenId } from '../../domain/ids.ts';
import type { UsedToken } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The caller's own token. Null for AUTH_TOKEN, which is not recorded. */
export async function me(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tokenId }: Principal,
): Promise<UsedToken | null> {
  const id = parseId<TokenId>(tokenId);
  return id === null ? null : await queries.usedToken(id);
}
