import type { DomainEvent } from '../../domain/events.ts';
import { createContext } from './createContext.ts';
import { deleteContext } from './deleteContext.ts';
import type { DurableOperation } from './durableOperation.ts';
import { interrupt } from './interrupt.ts';
import { restartContext } from './restartContext.ts';
import { restartKernel } from './restartKernel.ts';

/** All durable operations. An operation that need not survive a gateway is a plain call ({@link HeldWorker.call}). */
export const DURABLE_OPERATIONS: readonly DurableOperation[] = [
  interrupt,
  restartKernel,
  createContext,
  restartContext,
  deleteContext,
];

/** The operation that an event of this type requests, if any. */
export function operationOf(type: DomainEvent['type']): DurableOperation | undefined {
  return DURABLE_OPERATIONS.find(({ request }) => request === type);
}
