import type { DomainEvent } from './eventTypes.ts';

/** A record, so that the compiler misses what is not in it. */
const NAMES: Readonly<Record<DomainEvent['type'], true>> = {
  WorkerRequested: true,
  WorkerStarted: true,
  WorkerReady: true,
  WorkerAssigned: true,
  WorkerRetired: true,
  WorkerLost: true,
  WorkerRemoved: true,
  SessionOpened: true,
  KernelRestartRequested: true,
  KernelRestarted: true,
  SessionClosed: true,
  ExecutionRequested: true,
  InterruptRequested: true,
  ExecutionStarted: true,
  ExecutionFinished: true,
};

/** The name of every event that is recorded. */
export const EVENT_TYPES: ReadonlySet<string> = new Set(Object.keys(NAMES));
