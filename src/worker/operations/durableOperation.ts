import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { RequestRule } from '../../events/queries/executionQueries.ts';
import type { CallAgent } from '../../kernel/agent/createAgentCalls.ts';
import type { ContextNews } from '../contexts/contextNews.ts';
import type { WorkerContexts } from '../contexts/workerContexts.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Job } from '../storing/batch.ts';

/**
 * An operation on a worker that must survive the gateway that accepted the request. It consists of the event that
 * requests it, the event that answers it, and the work of the gateway that holds the worker
 * (docs/decisions/0013-commands-are-events.md).
 */
export interface DurableOperation extends RequestRule {
  /**
   * Resolves when the agent has answered, or need not be asked. It is called again after a rejection. The event's id is
   * the call's `requestId`, because the former holder may have sent the same request already.
   */
  carryOut(worker: OperatedWorker, request: RecordedEvent): Promise<void>;
}

/** The parts of a held worker that a durable operation may use. */
export interface OperatedWorker {
  readonly lanes: Pick<Lanes, 'find' | 'progressOf' | 'at'>;
  readonly contexts: Pick<WorkerContexts, 'get' | 'isOpen'>;
  /** Records the facts about a context that the agent gives in its answer to a call. */
  readonly contextNews: Pick<ContextNews, 'ready' | 'ended' | 'kernelReplaced'>;
  readonly call: CallAgent;
  /** False: this gateway no longer acts for the worker, or the agent was restarted. */
  readonly isActing: boolean;
  /** Stops holding back the execution's code. Returns whether it was held back until now, because of an interrupt. */
  endHoldBack(id: ExecutionId): boolean;
  /** Ends one of its jobs as CANCELLED; its code is never sent. */
  cancel(job: Job): void;
  readonly now: () => Date;
}

type EventOf<Type extends DomainEvent['type']> = Extract<DomainEvent, { readonly type: Type }>;

/** Returns `row` unchanged. The type of the event that `row.carryOut` receives follows from `row.request`. */
export function durableOperation<Type extends DomainEvent['type']>(
  row: RequestRule & {
    readonly request: Type;
    carryOut(worker: OperatedWorker, request: RecordedEvent<EventOf<Type>>): Promise<void>;
  },
): DurableOperation {
  return row;
}
