/** Ends the tokens, sessions and file changes of a user or a tenant, before their data are forgotten. */
import { pause } from '../async/pause.ts';
import { decideFileChange, type FileChange } from '../domain/fileChange.ts';
import type { Owner } from '../domain/users.ts';
import { commitChanges, decideAndCommit } from '../events/store/decideAndCommit.ts';
import { recordEnd } from '../pool/endWorker.ts';
import { changeToken } from './access/tokens.ts';
import type { ServiceDeps } from './serviceDeps.ts';

/** How many tokens were revoked, and how many sessions were ended. */
interface EndedOwner {
  readonly tokens: number;
  readonly sessions: number;
}

/**
 * Revokes the tokens of a user or tenant, then records the end of their sessions, which gateways carry out. If one user
 * is forgotten, a token for a prefix of names stays, because it also serves other users.
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

const POLL_INTERVAL_MS = 250;
/** Gateways remove a container within seconds, and try again every 30 s if the engine does not answer. */
const LIMIT_MS = 90_000;
/**
 * The wait fails after this long without a running gateway. A gateway that is starting announces itself sooner. A
 * gateway that has died counts as running until its lease expires.
 */
const NO_GATEWAY_LIMIT_MS = 5_000;
/** How long a live gateway has, once the worker is gone, to record the outcome of a change. It needs only a moment. */
const CHANGE_GRACE_MS = 2_000;
/** Changes without an outcome that are ended in one commit. */
const PAGE_CHANGES = 100;

type Deps = Pick<ServiceDeps, 'database' | 'now'>;

/**
 * Resolves when nothing of this owner is under way any more, in any gateway or container. If the gateway of a file
 * change was killed, this function records the end of the change.
 * @throws Error, with a message for the operator, if something does not end
 */
export async function untilEnded(deps: Deps, owner: Owner): Promise<void> {
  const { queries, leases } = deps.database;
  const startedAt = performance.now();
  let aloneSince: number | null = null;
  /** Since when only changes of files are left. */
  let settledSince: number | null = null;
  for (;;) {
    const { fileChanges, ...others } = await queries.unfinishedOf(owner);
    const now = performance.now();
    const isSettled = Object.values(others).every((count) => count === 0);
    if (isSettled && fileChanges === 0) return;
    settledSince = isSettled ? (settledSince ?? now) : null;
    if (settledSince !== null && now > settledSince + CHANGE_GRACE_MS)
      await endChanges(deps, owner);
    const isAlone = (await leases.otherGateways()).length === 0;
    aloneSince = isAlone ? (aloneSince ?? now) : null;
    const left = JSON.stringify({ ...others, fileChanges });
    if (aloneSince !== null && now > aloneSince + NO_GATEWAY_LIMIT_MS)
      throw new Error(`No gateway is running that could end what is unfinished: ${left}. ${AGAIN}`);
    if (now > startedAt + LIMIT_MS) throw new Error(`Some of it has not ended: ${left}. ${AGAIN}`);
    await pause(POLL_INTERVAL_MS);
  }
}

const AGAIN =
  'Nothing is forgotten yet. Start a gateway, make sure that its engine answers, then repeat this.';

/**
 * Records changes without an outcome as failed, although they may have been made. Afterwards, a gateway that was only
 * paused cannot record another outcome.
 */
async function endChanges({ database: { queries, store }, now }: Deps, owner: Owner) {
  await decideAndCommit(store, {
    load: () => queries.pendingChangesOf(owner, PAGE_CHANGES),
    decide: (changes) => {
      const at = now().toISOString();
      return commitChanges({ streams: changes.map((change) => appendFailure(change, at)) });
    },
  });
}

function appendFailure(state: FileChange, at: string) {
  const failure = { type: 'RecordFailure', at, code: 'ABORTED', mayHaveHappened: true } as const;
  const events = decideFileChange(failure, state);
  return { stream: 'fileChange', id: state.id, state, events } as const;
}
