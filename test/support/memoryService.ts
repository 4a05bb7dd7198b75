import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem, OutputPage } from '../../src/domain/output.ts';
import type { PoolStatus } from '../../src/domain/poolStatus.ts';
import { NO_OPTIONS, type Session } from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
import { untilTokenEnd } from '../../src/service/access/tokenEnd.ts';
import { type AnswerReads, createAnswer } from '../../src/service/answer/answer.ts';
import { type ExecuteRequest, hasKey } from '../../src/service/execute/validateRequest.ts';
import { OPERATIONS } from '../../src/service/operations.ts';
import type { Principal } from '../../src/service/principal.ts';
import type { BoundService, Operations, Service } from '../../src/service/service.ts';
import { unlessStopping } from '../../src/service/waiting.ts';

/** Low enough to reach in a test. */
export const MAX_RESPONSE_BYTES = 262_144;

interface MemoryParts extends Partial<Omit<Operations, 'execute'>> {
  /** Stands in for `execute`, except when the gateway stops: then the service's own code answers the call. */
  readonly execute?: (
    principal: Principal,
    request: ExecuteRequest,
    onAccepting: () => void,
  ) => Promise<Execution>;
  /** Gives the outputs of each page that an answer reads. */
  readonly outputs?: (page: OutputPage) => Promise<OutputItem[] | null>;
  readonly maxResponseBytes?: number;
}

/**
 * A service that runs nothing: it gives the transport whatever results a test provides. Operations that the test does
 * not provide are refused.
 */
export function memoryService(given: MemoryParts = {}): Service {
  const { execute = refuse, outputs, maxResponseBytes = MAX_RESPONSE_BYTES, ...parts } = given;
  const stopping = new AbortController();
  const reads: AnswerReads = {
    sessions: async (ids) => ids.map((id) => sessionRow({ id })),
    contexts: refuse,
    openContexts: refuse,
    workers: refuse,
    environments: refuse,
    sessionTimes: refuse,
    lastActiveAt: refuse,
    codes: refuse,
    vias: refuse,
    executions: refuse,
    placeOf: refuse,
    outputs: (pages) => Promise.all(pages.map(outputs ?? onlyFinished)),
  };
  const refusing = Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, refuse]));
  const operations: Operations = {
    ...(refusing as unknown as Operations),
    poolStatus: async () => POOL_STATUS,
    metrics: async () => ({ of: 'installation', pool: POOL_STATUS, degradation: null }),
    answer: (_principal, advice) => createAnswer(reads, advice, maxResponseBytes),
    ...parts,
    execute: (principal, request) =>
      untilTokenEnd(
        principal.tokenEnd,
        unlessStopping({ stopping: stopping.signal }, hasKey(request), (onAccepting) =>
          execute(principal, request, onAccepting),
        ),
      ),
  };
  return {
    ...operations,
    boundTo: (principal) => {
      const own = Object.entries<(...args: never[]) => unknown>(operations).map(
        ([name, operation]) => [name, operation.bind(null, principal as never)],
      );
      return Object.fromEntries(own) as BoundService;
    },
    stopWaiting: () => stopping.abort(),
  };
}

function refuse(): never {
  throw new Error('The test provides no result for this call.');
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
  environments: [],
  minIdleWorkers: 2,
  minIdleEnvironmentWorkers: 1,
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
    pid: null,
    errorName: null,
    errorValue: null,
    stateLost: false,
    truncated: false,
    queuedMs: 10,
    runMs: 990,
    cpuMs: 12,
    peakMemoryBytes: 50_000_000,
    outputBytes: 4,
    files: null,
    language: 'PYTHON',
    contextId: null,
    exitCode: null,
    signal: null,
    keepsAlive: true,
    inputBytes: 0,
    inputClosed: false,
    options: null,
    stoppedBy: null,
    storedOutputBytes: null,
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
    hasOptions: false,
    ...NO_OPTIONS,
    expiresAt: null,
    kernelRestarts: 0,
    kernelRestartedAt: null,
    closedAt: null,
    closeReason: null,
    ...facts,
  };
}

/** Numbers the outputs of one execution from 1, and gives all of them the same time. */
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
