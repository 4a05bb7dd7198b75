/**
 * A handmade history like that of a chaos run: two users of GraphQL, one of MCP and one of Jupyter, every kind of cell
 * and command, contexts, and faults with all their consequences, each reported correctly. Each test spoils it in one
 * way.
 */
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import { FETCHED, linesOf, makeCell } from '../../chaos/clients/cells.ts';
import { FILE_NAMES } from '../../chaos/clients/files.ts';
import { inputTextOf, readsInput } from '../../chaos/clients/inputs.ts';
import { exitCodeOf, isCommandKind } from '../../chaos/clients/shellCells.ts';
import {
  type CallRecord,
  type CellKind,
  compact,
  type FaultRecord,
  FILLER,
  type FileRecord,
  type History,
  type InputRecord,
  type RestRecord,
  type RestSnapshot,
  type StoredOutput,
  type StreamRecord,
  type WatchRecord,
  type Wire,
} from '../../chaos/history.ts';
import type { StreamKind } from '../../src/domain/entities.ts';
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import type { EndStatus, InputPiece } from '../../src/domain/execution.ts';
import type {
  ContextId,
  EventId,
  ExecutionId,
  FileChangeId,
  PoolId,
  SessionId,
  WorkerId,
} from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';

const START = Date.parse('2026-01-31T12:00:00Z');
const STEP_MS = 100;
const FILE_NAME = FILE_NAMES[0] ?? '';

/** What happens to one execution. */
interface Run {
  readonly status?: EndStatus;
  readonly errorName?: string;
  readonly stateLost?: boolean;
  /** Default: the user's name and a running number. */
  readonly key?: string;
  /** Its kernel dies before the code prints anything. */
  readonly isSilent?: boolean;
  /** Its caller goes away before the answer. */
  readonly isBrokenOff?: boolean;
  /** How many of its lines are stored before a gap. */
  readonly linesBeforeGap?: number;
}

/** One kernel, and the list of the commands in its session's home. */
interface Seat {
  readonly wire: Wire;
  readonly workerId: WorkerId;
  readonly sessionId: SessionId;
  readonly contextId: ContextId | null;
  readonly list: string[];
  life: string;
  ran: string[];
}

const NOTHING: RestSnapshot = {
  containers: [],
  workers: [],
  unfinished: [],
  leases: [],
  connections: [],
  waiting: 0,
  images: [],
  socketFolders: [],
  processes: [],
};

export function soundHistory(): History {
  const log = createLog();
  const ann = log.open('ann');
  log.run('ann', ann, 'counter');
  log.upload('ann', ann, 'first');
  log.download('ann', 'first');
  log.run('ann', ann, 'batch');
  log.run('ann', ann, 'batch');
  log.callAgain('ann', 'ann-2');
  log.run('ann', ann, 'stream');
  log.fault({ name: 'PostgreSQL: kill -9' });
  log.run('ann', ann, 'loud', { linesBeforeGap: 300 });
  log.fault({ name: 'kernel: kill -9', workerId: ann.workerId });
  log.run('ann', ann, 'counter', { status: 'ERROR', errorName: 'KernelDied', stateLost: true });
  log.newLife(ann);
  log.run('ann', ann, 'counter');
  log.run('ann', ann, 'endless', { status: 'INTERRUPTED' });
  log.run('ann', ann, 'runaway', { status: 'TIMEOUT' });
  log.run('ann', ann, 'fill');
  log.fault({ name: 'container: killed', workerId: ann.workerId });
  log.run('ann', ann, 'counter', { status: 'WORKER_LOST', stateLost: true, isSilent: true });
  log.lose(ann);
  const next = log.open('ann');
  log.run('ann', next, 'counter', { stateLost: true });
  log.download('ann', null);
  log.upload('ann', next, 'second');
  log.upload('ann', next, 'third', { ECONNRESET: 1 });
  log.download('ann', 'third');
  const context = log.createContext('ann', next, 'a');
  log.run('ann', context, 'counter');
  log.run('ann', context, 'counter');
  log.run('ann', next, 'shell');
  log.run('ann', next, 'shell-stream', { status: 'ERROR', errorName: 'CommandFailed' });
  log.run('ann', next, 'shell-endless', { status: 'INTERRUPTED' });
  log.run('ann', next, 'server', { status: 'INTERRUPTED', key: 'ann-server' });
  log.run('ann', next, 'fetch', { key: 'ann-server-fetch' });
  log.run('ann', next, 'input', { key: 'ann-input' });
  log.run('ann', next, 'shell-input', { key: 'ann-shell-input' });
  log.fault({ name: 'helper: kill -9', workerId: next.workerId });
  log.run('ann', next, 'shell', { status: 'ERROR', errorName: 'CommandLost', isSilent: true });
  log.run('ann', context, 'audit');
  log.deleteContext('ann', context);
  log.run('ann', log.createContext('ann', next, 'a'), 'counter');
  log.run('ann', next, 'ledger');
  log.run('ann', next, 'audit');
  log.list('ann');

  const bob = log.open('bob');
  log.run('bob', bob, 'counter');
  const bobs = log.createContext('bob', bob, 'b');
  log.run('bob', bobs, 'counter', { key: 'bob-context' });
  log.release('bob', bob, bobs);
  const again = log.open('bob');
  log.run('bob', again, 'counter');
  log.run('bob', again, 'audit');

  const mcp = log.open('mcp', 'mcp');
  log.run('mcp', mcp, 'counter');
  log.run('mcp', mcp, 'stream');
  log.run('mcp', mcp, 'shell');
  log.run('mcp', mcp, 'stream', { status: 'INTERRUPTED', key: 'mcp-gone', isBrokenOff: true });
  log.run('mcp', mcp, 'counter');
  log.run('mcp', mcp, 'ledger');
  log.run('mcp', mcp, 'audit');

  const jupyter = log.open('jupyter', 'jupyter');
  const kernel = log.createContext('jupyter', jupyter, null);
  log.run('jupyter', kernel, 'counter');
  log.run('jupyter', kernel, 'stream');
  log.run('jupyter', kernel, 'stream', { key: 'jupyter-again' });
  log.run('jupyter', kernel, 'stream', { status: 'INTERRUPTED', key: 'jupyter-stopped' });
  log.run('jupyter', log.createContext('jupyter', jupyter, null), 'counter');
  log.run('jupyter', kernel, 'audit');
  return log.history([next.workerId, again.workerId, mcp.workerId, jupyter.workerId]);
}

function createLog() {
  const events: RecordedEvent[] = [];
  const outputs: StoredOutput[] = [];
  const calls: CallRecord[] = [];
  const files: FileRecord[] = [];
  const inputs: InputRecord[] = [];
  const streams: StreamRecord[] = [];
  const faults: FaultRecord[] = [];
  const versions = new Map<string, number>();
  const made = new Map<string, number>();
  let now = START;
  const tick = () => {
    now += STEP_MS;
    return now;
  };

  function record(
    streamKind: StreamKind,
    streamId: string,
    event: Untimed,
    actor: RecordedEvent['metadata']['actor'] = null,
  ): void {
    const version = (versions.get(streamId) ?? 0) + 1;
    versions.set(streamId, version);
    const at = new Date(tick());
    events.push({
      position: events.length + 1,
      streamKind,
      streamId,
      version,
      schemaVersion: 1,
      event: { ...event, data: { ...event.data, at: at.toISOString() } } as DomainEvent,
      metadata: {
        eventId: newId<EventId>(),
        gatewayId: 'gateway',
        causationId: null,
        correlationId: null,
        actor,
      },
      recordedAt: at,
    });
  }

  function call(given: Partial<CallRecord> & Pick<CallRecord, 'user' | 'operation'>): void {
    const times = { startedAt: now - STEP_MS / 2, endedAt: tick() };
    const none = {
      ...{ wire: 'graphql' as const, cell: null, key: null, executionId: null, contextId: null },
      ...{ failures: {}, answer: null },
    };
    calls.push({ ...none, refusal: null, ...times, ...given });
  }

  function file(given: Partial<FileRecord> & Pick<FileRecord, 'user' | 'operation'>): void {
    const times = { startedAt: now - STEP_MS / 2, endedAt: tick() };
    const answer = { sha256: null, names: [] };
    const none = { name: FILE_NAME, sha256: null, failures: {}, answer, refusal: null };
    files.push({ ...none, ...times, ...given });
  }

  /** @param content stands for its SHA-256 */
  function upload(
    user: string,
    { sessionId, workerId }: Seat,
    content: string,
    failures: FileRecord['failures'] = {},
  ): void {
    const changeId = newId<FileChangeId>();
    record('fileChange', changeId, {
      type: 'FileChangeRequested',
      data: {
        ...{ changeId, tenant: 'default', userUuid: user, sessionId, workerId },
        ...{ operation: 'write', path: FILE_NAME, toPath: null },
      },
    });
    record('fileChange', changeId, {
      type: 'FileWritten',
      data: { path: FILE_NAME, size: 1, sha256: content, isNew: true },
    });
    file({ user, operation: 'upload', sha256: content, failures });
  }

  const fault = (given: Partial<FaultRecord> & Pick<FaultRecord, 'name'>): void => {
    const at = tick();
    const on = { gateway: null, workerId: null, user: null };
    faults.push({ startedAt: at, healedAt: at, ...on, ...given });
  };

  function open(userUuid: string, wire: Wire = 'graphql'): Seat {
    const [workerId, sessionId] = [newId<WorkerId>(), newId<SessionId>()];
    const limits = { memoryMb: 1, diskMb: 1, cpus: 1, pids: 1 };
    record('worker', workerId, {
      type: 'WorkerRequested',
      data: { workerId, poolId: newId<PoolId>(), name: 'w', imageId: 'i', runtime: 'r', limits },
    });
    record('worker', workerId, { type: 'WorkerReady', data: { readyMs: 1 } });
    record('worker', workerId, { type: 'WorkerAssigned', data: { sessionId } });
    record('session', sessionId, {
      type: 'SessionOpened',
      data: { sessionId, tenant: tenantBy(wire), userUuid, workerId, followsLoss: false },
    });
    const kernel = { contextId: null, life: lifeOf(sessionId, 1), ran: [] };
    return { wire, workerId, sessionId, list: [], ...kernel };
  }

  function run(user: string, seat: Seat, kind: CellKind, how: Run = {}): void {
    if (!how.key) made.set(user, (made.get(user) ?? 0) + 1);
    const key = how.key ?? `${user}-${made.get(user)}`;
    const id = newId<ExecutionId>();
    const { status = 'OK', errorName = null, stateLost = false } = how;
    const { code, timeoutMs } = makeCell(kind, key);
    const isCommand = isCommandKind(kind);
    const hasCode = isCommand && how.isSilent !== true;
    const exitCode = hasCode ? exitCodeOf(kind) : null;
    record(
      'execution',
      id,
      {
        type: 'ExecutionRequested',
        data: {
          ...{ executionId: id, sessionId: seat.sessionId, workerId: seat.workerId },
          ...{
            tenant: tenantBy(seat.wire),
            userUuid: user,
            code,
            codeSha256: '',
            codeBytes: code.length,
          },
          ...{ timeoutMs, maxOutputBytes: 1, stateLost: false },
          idempotencyKey: idempotencyKeyBy(seat.wire, key),
          ...(isCommand && { language: 'BASH' }),
          ...(readsInput(kind) && { allowInput: true }),
          ...(seat.contextId && { contextId: seat.contextId }),
        },
      },
      actorBy(seat.wire),
    );
    if (readsInput(kind)) sendInput(user, id, key, isCommand);
    if (status === 'INTERRUPTED' && !how.isBrokenOff)
      call(
        seat.wire === 'jupyter'
          ? { user, operation: 'interruptKernel', contextId: seat.contextId }
          : { user, operation: 'interrupt', executionId: id, answer: answerOf(id, status) },
      );
    if (how.isSilent !== true) (isCommand ? seat.list : seat.ran).push(key);
    const printed = printedBy(kind, seat, how, key);
    const truncated = how.linesBeforeGap !== undefined;
    outputs.push(...printed.map((each, index) => ({ ...each, executionId: id, seq: index + 1 })));
    record('execution', id, {
      type: 'ExecutionFinished',
      data: {
        ...{ status, errorName, errorValue: null, stateLost, truncated, executionCount: null },
        ...{ queuedMs: 1, runMs: 1, cpuMs: 1, peakMemoryBytes: 1, outputBytes: 1, exitCode },
        ...{ storedOutputBytes: 1, files: null },
      },
    });
    const own = outputs.filter(({ executionId }) => executionId === id);
    const isFollowed = seat.wire === 'graphql' && (kind === 'stream' || kind === 'loud');
    const stdout = own.flatMap((each) => (each.kind === 'stream' ? each.text : [])).join('');
    const result = String(seat.ran.length);
    const answer = { ...answerOf(id, status), stateLost, exitCode, stdout, result };
    const { contextId } = seat;
    call({
      user,
      wire: seat.wire,
      operation: isFollowed ? 'submit' : 'execute',
      cell: kind,
      key,
      answer: how.isBrokenOff ? null : answer,
      contextId,
    });
    if (!isFollowed) return;
    const items = own.map(({ executionId: _, ...item }) => item);
    streams.push({ user, executionId: id, items, connections: 2, isEnded: true, refusal: null });
  }

  function sendInput(user: string, executionId: ExecutionId, key: string, isCommand: boolean) {
    for (const { piece, call: sent } of inputSentTo(key, !isCommand)) {
      record('execution', executionId, { type: 'InputSent', data: piece });
      const times = { startedAt: now - STEP_MS / 2, endedAt: tick() };
      inputs.push({ user, executionId, ...sent, failures: {}, refusal: null, ...times });
    }
  }

  function createContext(user: string, seat: Seat, name: string | null): Seat {
    const contextId = newId<ContextId>();
    const { sessionId, workerId } = seat;
    record('context', contextId, {
      type: 'ContextCreated',
      data: {
        ...{ contextId, sessionId, workerId, tenant: tenantBy(seat.wire), userUuid: user },
        ...{ name, workingDirectory: null, slot: 0 },
      },
    });
    record('context', contextId, { type: 'ContextStarted', data: { readyMs: 1 } });
    call({ user, operation: 'createContext', answer: answerOf(contextId, 'READY') });
    return { ...seat, contextId, life: lifeOf(contextId, 1), ran: [] };
  }

  function deleteContext(user: string, { contextId }: Seat): void {
    if (contextId === null) return;
    const startedAt = tick();
    record('context', contextId, { type: 'ContextDeleteRequested', data: {} });
    record('context', contextId, { type: 'ContextEnded', data: { reason: 'deleted' } });
    const answer = answerOf(contextId, 'deleted');
    call({ user, operation: 'deleteContext', contextId, startedAt, answer });
  }

  /** A watch that has seen all of the user's outputs except the first, which came before the watch began. */
  function watched(user: string): WatchRecord {
    const ids = events.flatMap(({ event }) =>
      event.type === 'ExecutionRequested' && event.data.userUuid === user
        ? event.data.executionId
        : [],
    );
    const items = ids.flatMap((id) => outputs.filter(({ executionId }) => executionId === id));
    const last = ids.at(-1) ?? null;
    return { user, items: items.slice(1), connections: 3, refusal: null, last };
  }

  return {
    open,
    run,
    createContext,
    deleteContext,
    fault,
    upload,
    download: (user: string, content: string | null) =>
      file({ user, operation: 'download', answer: { sha256: content, names: [] } }),
    list: (user: string) =>
      file({ user, operation: 'list', name: null, answer: { sha256: null, names: [FILE_NAME] } }),
    newLife: (seat: Seat) => {
      seat.life = lifeOf(seat.sessionId, 2);
      seat.ran = [];
    },
    /** Repeats the call with this key at another gateway. */
    callAgain: (user: string, key: string) => {
      const first = calls.find((each) => each.key === key);
      call({ ...first, user, operation: 'submit', failures: { ECONNRESET: 1 } });
    },
    lose: ({ workerId, sessionId }: Seat) => {
      const data = { reason: 'exited', exitCode: 137, detail: null } as const;
      record('worker', workerId, { type: 'WorkerLost', data });
      record('session', sessionId, { type: 'SessionClosed', data: { reason: 'worker-lost' } });
      record('worker', workerId, { type: 'WorkerRemoved', data: {} });
    },
    release: (user: string, { workerId, sessionId }: Seat, context: Seat) => {
      const startedAt = tick();
      record('worker', workerId, { type: 'WorkerRetired', data: { reason: 'released' } });
      record('session', sessionId, { type: 'SessionClosed', data: { reason: 'released' } });
      record('context', context.contextId ?? '', {
        type: 'ContextEnded',
        data: { reason: 'released' },
      });
      record('worker', workerId, { type: 'WorkerRemoved', data: {} });
      call({ user, operation: 'release', startedAt, answer: answerOf(sessionId, 'released') });
    },
    history: (workers: readonly string[]): History => {
      const leases = ['upkeep', ...workers.map((id) => `worker-${id}`)];
      const processes = workers.map((workerId) => {
        return { workerId, contexts: 2, ofUser: 2, reapers: 2, strangers: 0 };
      });
      const present = { containers: workers, workers, socketFolders: workers, processes };
      const serving = { ...NOTHING, ...present, leases, connections: ['commits', 'reads'] };
      const stopped = { ...NOTHING, ...present };
      const rest = {
        ...{ serving, stopped, down: NOTHING, exitCodes: [0, 0, 0], unserved: [] },
        audit: auditOf(events),
      };
      const watches = ['ann', 'bob'].map((user) => watched(user));
      const told = { calls, files, inputs, streams, watches, faults, tokenTries: [], exits: [] };
      const gatewayIds = ['gateway', 'other'];
      const quotas = { openSessionsOfTenant: 100, executionsPerMinuteOfUser: 1_000 };
      const transactions = Object.fromEntries(
        events.map(({ position }) => [position, String(position)]),
      );
      const found = { events, transactions, outputs, keptInputs: [] };
      return { ...told, quotas, gatewayIds, ...found, rest, mishaps: [] };
    },
  };
}

/** Jupyter's door makes the idempotency key from the ids of the client and its request. MCP has no such keys. */
function idempotencyKeyBy(wire: Wire, key: string): string | null {
  if (wire === 'mcp') return null;
  return wire === 'jupyter' ? `jupyter:${JSON.stringify(['notebook', key])}` : key;
}

/** On each wire other than GraphQL, the user has a tenant of its own. */
function tenantBy(wire: Wire): string {
  return wire === 'graphql' ? 'default' : wire;
}

/** The checker looks only at the actors of requests through doors. So requests over GraphQL have no actor here. */
function actorBy(door: Wire): RecordedEvent['metadata']['actor'] {
  return door === 'graphql' ? null : { token: door, role: 'USER', tenant: tenantBy(door), door };
}

/** The checker's findings in a history with these parts replaced. The audit's result is made for the events in it. */
export function foundIn(sound: History, change: Partial<History>): string[] {
  const history = { ...sound, ...change };
  const rest = { ...history.rest, audit: auditOf(history.events) };
  return checkHistory({ ...history, rest }).map(({ type, what }) => `${type}: ${what}`);
}

/** The audit's result if nothing is wrong with these events. */
function auditOf({ length: events }: History['events']): RestRecord['audit'] {
  const nothing = { unsealed: 0, outsideHeads: 0, findings: [], findingCount: 0 };
  const verified = { chainId: 'chain', position: events, events, ...nothing };
  return { serving: verified, down: verified };
}

/** An event without a time: the log adds it. */
type Untimed = DomainEvent extends infer E
  ? E extends { type: infer T; data: infer D }
    ? { type: T; data: Omit<D, 'at'> }
    : never
  : never;

function lifeOf(sessionId: string, kernel: number): string {
  return `${sessionId.replaceAll('-', '').slice(-15)}${kernel}`;
}

function answerOf(id: string, status: string) {
  return { id, status, stateLost: false, exitCode: null, stdout: '', result: null };
}

type Printed = Pick<StoredOutput, 'kind' | 'text' | 'chars'>;

function printedBy(kind: CellKind, { life, ran, list }: Seat, how: Run, key: string): Printed[] {
  const finish = { kind: 'finish', text: '', chars: 0 };
  if (how.isSilent) return [finish];
  const { count, fillerChars } = linesOf(kind);
  const lines = Array.from(
    { length: count },
    (_, line) => `${line}:${FILLER.repeat(fillerChars)}\n`,
  );
  if (kind === 'audit') lines.push(`${ran.join(' ')}\n`);
  if (kind === 'fill') lines.push('errno 28\n');
  if (kind === 'fetch') lines.push(`${FETCHED}\n`);
  if (readsInput(kind)) lines.push(inputTextOf(key));
  if (kind === 'ledger') lines.push(`\n${list.join(';\n\n')};\n`);
  const texts = [
    isCommandKind(kind) ? '$ 1\n' : `@${life} ${ran.length} ${ran.at(-2) ?? '-'}\n`,
    ...lines.slice(0, how.linesBeforeGap),
  ];
  const printed = texts.map((text) => ({
    kind: 'stream',
    text: compact(text),
    chars: text.length,
  }));
  const gap = { kind: 'gap', text: 'replay_overflow', chars: 0 };
  return how.linesBeforeGap === undefined ? [...printed, finish] : [...printed, gap, finish];
}

// The input of a handmade history: two pieces that are cut within a line, and the end.

const CUT = 30;

interface Sent {
  readonly call: Pick<InputRecord, 'offset' | 'base64' | 'close' | 'answer'>;
  /** The data of the event that records this call. */
  readonly piece: InputPiece;
}

/** @param isSecret whether the second piece was sent when a password was asked for */
function inputSentTo(key: string, isSecret: boolean): Sent[] {
  const whole = Buffer.from(inputTextOf(key));
  const ends = [CUT, whole.length, whole.length];
  return ends.map((end, index) => {
    const offset = ends[index - 1] ?? 0;
    const bytes = whole.subarray(offset, end);
    const close = index === 2;
    const isTold = bytes.length > 0 && !(isSecret && index === 1);
    return {
      call: {
        ...{ offset, close, answer: { offset, nextOffset: end } },
        base64: bytes.length > 0 ? bytes.toString('base64') : null,
      },
      piece: { offset, bytes: bytes.length, close, ...(isTold && { text: bytes.toString() }) },
    };
  });
}
