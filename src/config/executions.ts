/** How long executions run, and how many wait. */
import { integer, milliseconds } from './setting.ts';

export const EXECUTIONS = {
  executionTimeoutMs: milliseconds({
    name: 'EXECUTION_TIMEOUT_MS',
    text: 'The time limit of an execution that names none, from when its turn has come.',
    fallback: 10_000,
    min: 1,
  }),
  maxExecutionTimeoutMs: milliseconds({
    name: 'MAX_EXECUTION_TIMEOUT_MS',
    text: 'The highest time limit that a call may ask for.',
    fallback: 300_000,
    min: 1,
  }),
  interruptGraceMs: milliseconds({
    name: 'INTERRUPT_GRACE_MS',
    text: 'Code that goes on for so long after the interrupt at its time limit loses its kernel, and the variables. Waiting for a CPU that other workers have does not count, up to ten times as long. After half of it the code is interrupted once more.',
    fallback: 1_000,
    min: 1,
  }),
  /** Per session. */
  maxQueuedExecutions: integer({
    name: 'MAX_QUEUED_EXECUTIONS',
    text: 'How many executions may wait in one session.',
    fallback: 64,
    min: 1,
    max: 10_000,
  }),
  idempotencyTtlMs: milliseconds({
    name: 'IDEMPOTENCY_TTL_MS',
    text: 'How long idempotency keys are kept.',
    fallback: 86_400_000,
    min: 1_000,
  }),
};
