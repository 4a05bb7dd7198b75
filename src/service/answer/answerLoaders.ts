/** Combines the single reads of an answer into one read for each kind. */
import DataLoader from 'dataloader';
import type { Context } from '../../domain/context.ts';
import type { Execution } from '../../domain/execution.ts';
import type {
  ContextId,
  EnvironmentId,
  ExecutionId,
  SessionId,
  WorkerId,
} from '../../domain/ids.ts';
import type { OutputItem, OutputPage } from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Edge } from '../../events/queries/listQueries.ts';
import type { EnvironmentView } from '../environments/environments.ts';
import type { Principal } from '../principal.ts';
import type { AnswerReads, ExecutionList } from './answerReads.ts';

/**
 * The loaders of one answer. An answer can be that of several mutations, which run one after the other. So sessions,
 * workers and outputs, which a mutation can change, are read anew for each mutation.
 */
export interface AnswerLoaders {
  readonly session: DataLoader<SessionId, Session | null, string>;
  readonly context: DataLoader<ContextId, Context | null, string>;
  readonly openContexts: DataLoader<SessionId, readonly Context[], string>;
  readonly worker: DataLoader<WorkerId, Worker | null, string>;
  readonly environment: DataLoader<EnvironmentId, EnvironmentView | null>;
  readonly lastActiveAt: DataLoader<Session, Date>;
  readonly code: DataLoader<ExecutionId, string | null>;
  readonly via: DataLoader<ExecutionId, Principal['door'] | null>;
  readonly executions: DataLoader<ExecutionList, readonly Edge<Execution>[], string>;
  /** The position of the execution that a cursor names. */
  readonly place: DataLoader<string, number | null>;
  readonly outputs: DataLoader<OutputPage, readonly OutputItem[] | null, string>;
}

export function createAnswerLoaders(reads: AnswerReads): AnswerLoaders {
  return {
    session: freshLoader(byId, reads.sessions),
    context: freshLoader(byId, reads.contexts),
    openContexts: freshLoader(byId, reads.openContexts),
    worker: freshLoader(byId, reads.workers),
    environment: new DataLoader(reads.environments),
    lastActiveAt: new DataLoader(reads.lastActiveAt),
    code: new DataLoader(reads.codes),
    via: new DataLoader(reads.vias),
    executions: freshLoader((list) => JSON.stringify(list), reads.executions),
    place: new DataLoader((cursors) => Promise.all(cursors.map(reads.placeOf))),
    outputs: freshLoader(
      ({ executionId, after, limit }) => `${executionId}:${after}:${limit}`,
      reads.outputs,
    ),
  };
}

/** Combines simultaneous requests into one read, with each key once. It caches nothing for later requests. */
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
