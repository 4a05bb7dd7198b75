import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem, OutputPage } from '../../src/domain/output.ts';
import type { PoolStatus } from '../../src/domain/poolStatus.ts';
import type { Session } from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
import type { InterpreterService } from '../../src/service/service.ts';

interface MemoryParts extends Partial<InterpreterService> {
  /** Of each page in `many.outputs`. */
  readonly outputs?: (page: OutputPage) => Promise<OutputItem[] | null>;
}

/**
 * An interpreter that runs nothing: it feeds the transport whatever a test wants to see carried. What the test does not
 * give it refuses.
 */
export function memoryService({ outputs, ...parts }: MemoryParts = {}): InterpreterService {
  const refuse = (): never => {
    throw new Error('Not part of this test.');
  };
  return {
    lists: { executions: refuse, sessions: refuse, workers: refuse, events: refuse },
    many: {
      sessions: async (_principal, ids) => ids.map((id) => sessionRow({ id })),
      workers: refuse,
      lastActiveAt: refuse,
      codes: refuse,
      outputs: (pages) => Promise.all(pages.map(outputs ?? onlyFinished)),
    },
    history: {
      sessionAt: refuse,
      poolAt: refuse,
      workerEvents: refuse,
      sessionEvents: refuse,
    },
    execute: refuse,
    executeBatch: refuse,
    submit: refuse,
    interrupt: refuse,
    restartKernel: refuse,
    release: refuse,
    session: refuse,
    execution: refuse,
    followOutput: refuse,
    followSessionOutput: refuse,
    poolStatus: async () => POOL_STATUS,
    followPoolStatus: refuse,
    ...parts,
  };
}

async function onlyFinished({ executionId }: OutputPage): Promise<OutputItem[]> {
  return [{ executionId, seq: 1, at: new Date(), output: { kind: 'finish' } }];
}

export const POOL_STATUS: PoolStatus = {
  totalWorkers: 3,
  busyWorkers: 1,
  idleWorkers: 2,
  startingWorkers: 0,
  waitingRequests: 0,
  minIdleWorkers: 2,
  maxTotalWorkers: 30,
  isInitializing: false,
  degradation: null,
};

/** An execution that ended well, a second after it was requested. */
export function executionRow(facts: Partial<Execution> = {}): Execution {
  return {
    id: newId(),
    version: 3,
    tenant: 'default',
    userUuid: 'someone',
    sessionId: newId(),
    workerId: newId(),
    status: 'OK',
    codeSha256: '',
    codeBytes: 3,
    timeoutMs: 10_000,
    maxOutputBytes: 1_000_000,
    idempotencyKey: null,
    requestedAt: new Date('2026-01-31T12:00:00.000Z'),
    startedAt: new Date('2026-01-31T12:00:00.010Z'),
    finishedAt: new Date('2026-01-31T12:00:01.000Z'),
    executionCount: 1,
    errorName: null,
    errorValue: null,
    stateLost: false,
    truncated: false,
    queuedMs: 10,
    runMs: 990,
    cpuMs: 12,
    peakMemoryBytes: 50_000_000,
    outputBytes: 4,
    ...facts,
  };
}

function sessionRow(facts: Partial<Session> = {}): Session {
  return {
    id: newId(),
    version: 1,
    tenant: 'default',
    userUuid: 'someone',
    workerId: newId(),
    followsLoss: false,
    openedAt: new Date('2026-01-31T12:00:00.000Z'),
    kernelRestarts: 0,
    kernelRestartedAt: null,
    closedAt: null,
    closeReason: null,
    ...facts,
  };
}

/** Numbers outputs of one execution from 1, all at the same time. */
export function outputItems(
  execution: Execution,
  outputs: readonly OutputItem['output'][],
): OutputItem[] {
  const at = new Date('2026-01-31T12:00:00.500Z');
  return outputs.map((output, index) => ({
    executionId: execution.id,
    seq: index + 1,
    at,
    output,
  }));
}
