/** Gathers what the fields of one response ask for one by one into one read for each kind of thing. */
import DataLoader from 'dataloader';
import type { OutputItem } from '../events/eventStore.ts';
import type { Session, Worker } from '../events/states.ts';
import type { ExecutionId, SessionId, WorkerId } from '../ids.ts';
import type { InterpreterService, Principal } from '../pool/service.ts';

/** Of one request; what is not there is null (of code: empty, for it was pruned). */
export interface Loaders {
  readonly session: DataLoader<SessionId, Session | null>;
  readonly worker: DataLoader<WorkerId, Worker | null>;
  readonly lastActiveAt: DataLoader<Session, Date>;
  readonly code: DataLoader<ExecutionId, string>;
  readonly outputs: DataLoader<ExecutionId, readonly OutputItem[]>;
}

export function createLoaders({ many }: InterpreterService, principal: Principal): Loaders {
  return {
    session: new DataLoader(async (ids) => inOrder(ids, await many.sessions(principal, ids))),
    worker: new DataLoader(async (ids) => inOrder(ids, await many.workers(ids))),
    lastActiveAt: new DataLoader(async (sessions) => {
      const times = await many.lastActiveAt(sessions);
      return sessions.map(({ id, openedAt }) => times.get(id) ?? openedAt);
    }),
    code: new DataLoader(async (ids) => {
      const codes = await many.codes(ids);
      return ids.map((id) => codes.get(id) ?? '');
    }),
    // A live execution puts out more while an answer is made: each answer reads once, none is kept for the next.
    outputs: new DataLoader(async (ids) => {
      const outputs = await many.outputs(ids);
      return ids.map((id) => outputs.get(id) ?? []);
    }),
  };
}

function inOrder<Id extends string, T extends { readonly id: Id }>(
  ids: readonly Id[],
  things: readonly T[],
): (T | null)[] {
  const byId = new Map(things.map((thing) => [thing.id, thing]));
  return ids.map((id) => byId.get(id) ?? null);
}
