import type { Owner } from '../../domain/owner.ts';
import { recordEnd } from '../../pool/endWorker.ts';
import { changeToken } from '../access/changeToken.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** How many tokens were revoked, and how many sessions were ended. */
export interface EndedOwner {
  readonly tokens: number;
  readonly sessions: number;
}

/**
 * Revokes the tokens of a user or tenant, then records the end of their sessions. Gateways carry it out. If one user is
 * forgotten, a token for a prefix stays, because it also serves other users.
 */
export async function endOwner(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  owner: Owner,
): Promise<EndedOwner> {
  const { queries } = deps.database;
  const { tenant, userUuid } = owner;
  const held = (await queries.tokens()).filter(
    (token) =>
      token.tenant === tenant &&
      token.revokedAt === null &&
      (userUuid === null || token.userUuid === userUuid),
  );
  for (const { id } of held) {
    await changeToken(deps, id, () => ({
      ...{ type: 'RevokeToken', at: deps.now().toISOString(), reason: 'forgotten' },
    }));
  }
  const open = await queries.openSessionsOf(owner);
  for (const { workerId } of open)
    await recordEnd(deps, workerId, { type: 'RetireWorker', reason: 'released' });
  return { tokens: held.length, sessions: open.length };
}
