/** How long executions run, and how many wait. */
import { integer, milliseconds } from './setting.ts';

export const EXECUTIONS = {
  executionTimeoutMs: milliseconds({
    name: 'EXECUTION_TIMEOUT_MS',
    text: 'The time limit of an execution whose call gives none. It counts from when the code is sent to the kernel.',
    fallback: 10_000,
    min: 1,
  }),
  maxExecutionTimeoutMs: milliseconds({
    name: 'MAX_EXECUTION_TIMEOUT_MS',
    text: 'The highest time limit that a call may give.',
    fallback: 300_000,
    min: 1,
  }),
  interruptGraceMs: milliseconds({
    name: 'INTERRUPT_GRACE_MS',
    text: 'The grace time: how long code may still run after the interrupt at its time limit. After that, its kernel is replaced and variables are lost. The grace time does not count while the kernel waits for a CPU that other workers use, but it lasts at most ten times its normal length. After half of it, the code is interrupted once more.',
    fallback: 1_000,
    min: 1,
  }),
  maxQueuedExecutions: integer({
    name: 'MAX_QUEUED_EXECUTIONS',
    text: 'How many executions may wait in one context of a session.',
    fallback: 64,
    min: 1,
    max: 10_000,
  }),
  maxContexts: integer({
    name: 'MAX_CONTEXTS',
    text: 'How many contexts a session may have beside its default one. Each is a kernel of its own, and uses memory and processes of the worker.',
    fallback: 8,
    min: 0,
    max: 32,
  }),
  idempotencyTtlMs: milliseconds({
    name: 'IDEMPOTENCY_TTL_MS',
    text: 'How long idempotency keys are kept.',
    fallback: 86_400_000,
    min: 1_000,
  }),
};
