/** How long executions run, and how many wait. */
import { bytes, integer, milliseconds } from './setting.ts';

/** One day, the longest time limit that agents accept. */
const MAX_AGENT_LIMIT_MS = 86_400_000;

export const EXECUTIONS = {
  executionTimeoutMs: milliseconds({
    name: 'EXECUTION_TIMEOUT_MS',
    text: 'The usual time limit of an execution whose call gives none. It counts from when the code is sent to the kernel.',
    fallback: 10_000,
    min: 1,
  }),
  maxExecutionTimeoutMs: milliseconds({
    name: 'MAX_EXECUTION_TIMEOUT_MS',
    text: 'The highest time limit that a call may give, except to a command.',
    fallback: 300_000,
    min: 1,
  }),
  maxCommandTimeoutMs: integer({
    name: 'MAX_COMMAND_TIMEOUT_MS',
    text: 'The highest time limit that a call may give a command. It is also the default and highest limit of notebook cells from doors.',
    fallback: MAX_AGENT_LIMIT_MS,
    min: 1,
    max: MAX_AGENT_LIMIT_MS,
    unit: 'ms',
  }),
  interruptGraceMs: milliseconds({
    name: 'INTERRUPT_GRACE_MS',
    text: 'The grace time: how long code may still run after the interrupt at its time limit. After half of the grace time, the code is interrupted once more. At its end, the kernel is replaced and variables are lost. Waiting for a CPU that other workers use does not count, up to ten times the grace time in all.',
    fallback: 1_000,
    min: 1,
  }),
  maxQueuedExecutions: integer({
    name: 'MAX_QUEUED_EXECUTIONS',
    text: 'How many executions may wait in one context of a session, and how many commands may wait in a session.',
    fallback: 64,
    min: 1,
    max: 10_000,
  }),
  maxCommands: integer({
    name: 'MAX_COMMANDS',
    text: 'How many commands of a session run at the same time. At most MAX_QUEUED_EXECUTIONS others wait. Each running command takes at least two of the processes that WORKER_PIDS allows.',
    fallback: 16,
    min: 1,
    max: 64,
  }),
  maxContexts: integer({
    name: 'MAX_CONTEXTS',
    text: 'How many contexts a session may have beside its default one. Each is a kernel of its own, and uses memory and processes of the worker.',
    fallback: 8,
    min: 0,
    max: 32,
  }),
  maxInputBytes: bytes({
    name: 'MAX_INPUT_BYTES',
    text: 'How much input one execution may get in all. Input is recorded.',
    fallback: 16_777_216,
    min: 1_024,
  }),
  idempotencyTtlMs: milliseconds({
    name: 'IDEMPOTENCY_TTL_MS',
    text: 'How long idempotency keys are kept.',
    fallback: 86_400_000,
    min: 1_000,
  }),
};
