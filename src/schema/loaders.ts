/** Gathers what the fields of one response ask for one by one into one read for each kind of thing. */
import DataLoader from 'dataloader';
import type { ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { OutputItem, OutputPage } from '../domain/output.ts';
import type { Session } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { InterpreterService, Principal } from '../service/service.ts';

/**
 * Of one request; what is not there is null (of code: empty, for it was pruned). What may change while a mutation's fields
 * run one after the other is read anew for each of them.
 */
export interface Loaders {
  readonly session: DataLoader<SessionId, Session | null, string>;
  readonly worker: DataLoader<WorkerId, Worker | null, string>;
  readonly lastActiveAt: DataLoader<Session, Date>;
  /** Null: MAX_RESPONSE_BYTES of code were asked for at once before it. */
  readonly code: DataLoader<ExecutionId, string | null>;
  /** Null: it does not fit into MAX_RESPONSE_BYTES with the others that were asked for at once. */
  readonly outputs: DataLoader<OutputPage, readonly OutputItem[] | null, string>;
}

export function createLoaders({ many }: InterpreterService, principal: Principal): Loaders {
  return {
    session: freshLoader<SessionId, Session | null>(byId, async (ids) =>
      inOrder(ids, await many.sessions(principal, ids)),
    ),
    worker: freshLoader<WorkerId, Worker | null>(byId, async (ids) =>
      inOrder(ids, await many.workers(ids)),
    ),
    lastActiveAt: new DataLoader(async (sessions) => {
      const times = await many.lastActiveAt(sessions);
      return sessions.map(({ id, openedAt }) => times.get(id) ?? openedAt);
    }),
    code: new DataLoader(async (ids) => {
      const codes = await many.codes(ids);
      return ids.map((id) => codes.get(id) ?? (codes.has(id) ? null : ''));
    }),
    outputs: freshLoader(
      ({ executionId, after, limit }) => `${executionId}:${after}:${limit}`,
      many.outputs,
    ),
  };
}

/** Reads what is asked for at once in one go, equal keys once, and keeps nothing of it for the next time. */
function freshLoader<K, V>(
  keyOf: (key: K) => string,
  read: (keys: readonly K[]) => Promise<readonly V[]>,
): DataLoader<K, V, string> {
  const loader: DataLoader<K, V, string> = new DataLoader(
    (keys) => {
      loader.clearAll();
      return read(keys);
    },
    { cacheKeyFn: keyOf },
  );
  return loader;
}

const byId = (id: string) => id;

function inOrder<Id extends string, T extends { readonly id: Id }>(
  ids: readonly Id[],
  things: readonly T[],
): (T | null)[] {
  const found = new Map(things.map((thing) => [thing.id, thing]));
  return ids.map((id) => found.get(id) ?? null);
}
