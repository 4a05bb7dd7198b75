import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { RequestRule } from '../../events/queries/commandQueries.ts';
import type { CallAgent } from '../../kernel/calls/createAgentCalls.ts';
import type { Job } from '../batch.ts';
import type { Jobs } from '../jobs.ts';

/**
 * What users ask of a worker that must survive a gateway: the event that asks for it, the one that answers it, and what the
 * gateway that holds the worker does. (docs/decisions/0013-commands-are-events.md)
 */
export interface DurableOperation extends RequestRule {
  /**
   * Resolves when the agent has answered, or need not be asked; a rejection is tried again. The event's id goes along as the
   * call's `requestId`: a predecessor may have sent it already.
   */
  carryOut(worker: OperatedWorker, request: RecordedEvent): Promise<void>;
}

/** What a durable operation may do with the held worker. */
export interface OperatedWorker {
  readonly jobs: Pick<Jobs, 'find' | 'progressOf'>;
  readonly call: CallAgent;
  /** False: this gateway has let go of it, or its agent is not the one that was there. */
  readonly isActing: boolean;
  /** Whether the execution's code was held back until the agent had told of it. It is no longer. */
  endHoldBack(id: ExecutionId): boolean;
  /** Ends one of its jobs as CANCELLED; its code is never sent. */
  cancel(job: Job): void;
}

type EventOf<Type extends DomainEvent['type']> = Extract<DomainEvent, { readonly type: Type }>;

/** An operation whose request is known by its type. */
export function durableOperation<Type extends DomainEvent['type']>(
  row: RequestRule & {
    readonly request: Type;
    carryOut(worker: OperatedWorker, request: RecordedEvent<EventOf<Type>>): Promise<void>;
  },
): DurableOperation {
  return row;
}
