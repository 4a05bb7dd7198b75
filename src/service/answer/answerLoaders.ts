/** Gathers what an answer asks for thing by thing into one read for each kind. */
import DataLoader from 'dataloader';
import type { ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { OutputItem, OutputPage } from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { AnswerReads } from './answerReads.ts';

/** Of one answer. What may change while the calls that it answers run one after the other is read anew for each of them. */
export interface AnswerLoaders {
  readonly session: DataLoader<SessionId, Session | null, string>;
  readonly worker: DataLoader<WorkerId, Worker | null, string>;
  readonly lastActiveAt: DataLoader<Session, Date>;
  readonly code: DataLoader<ExecutionId, string | null>;
  readonly outputs: DataLoader<OutputPage, readonly OutputItem[] | null, string>;
}

export function createAnswerLoaders(reads: AnswerReads): AnswerLoaders {
  return {
    session: freshLoader(byId, reads.sessions),
    worker: freshLoader(byId, reads.workers),
    lastActiveAt: new DataLoader(reads.lastActiveAt),
    code: new DataLoader(reads.codes),
    outputs: freshLoader(
      ({ executionId, after, limit }) => `${executionId}:${after}:${limit}`,
      reads.outputs,
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
