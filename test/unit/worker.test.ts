import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';
import type { SessionId, WorkerId } from '../../src/domain/ids.ts';
import {
  decideWorker,
  evolveWorker,
  type Worker,
  type WorkerCommand,
  type WorkerEvent,
} from '../../src/domain/worker.ts';
import { newId } from '../../src/process/newId.ts';
import { POOL_ID } from '../../testkit/events.ts';

const at = '2026-01-02T03:04:05.678Z';
const sessionId = newId<SessionId>();

const request: WorkerCommand = {
  type: 'RequestWorker',
  at,
  workerId: newId<WorkerId>(),
  poolId: POOL_ID,
  name: 'worker-1',
  imageId: 'sha256:1',
  runtime: 'runc',
  limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
};
const start: WorkerCommand = { type: 'RecordStart', at, containerId: 'c1', socketPath: '/s' };
const ready: WorkerCommand = { type: 'RecordReady', at, readyMs: 700 };
const assign: WorkerCommand = { type: 'AssignWorker', at, sessionId };
const retire: WorkerCommand = { type: 'RetireWorker', at, reason: 'released' };
const lose: WorkerCommand = {
  type: 'RecordLoss',
  at,
  reason: 'oom',
  exitCode: 137,
  detail: 'out of memory',
};
const remove: WorkerCommand = { type: 'RecordRemoval', at };
const ALL = [request, start, ready, assign, retire, lose, remove];

/** The worker after these commands. */
function given(...commands: readonly WorkerCommand[]): Worker | null {
  return commands.reduce<Worker | null>(
    (worker, command) => decideWorker(command, worker).reduce(evolveWorker, worker),
    null,
  );
}

/** How each state is reached. */
const GIVEN = {
  none: [],
  REQUESTED: [request],
  STARTING: [request, start],
  IDLE: [request, start, ready],
  ASSIGNED: [request, start, ready, assign],
  RETIRED: [request, start, ready, assign, retire],
  LOST: [request, start, lose],
  REMOVED: [request, start, lose, remove],
} as const;
type State = keyof typeof GIVEN;

const REFUSED = 'refused';
/** What each command records in each state: the event, nothing (it happened already), or a refusal. */
const TABLE: Readonly<Record<State, Readonly<Record<WorkerCommand['type'], string | null>>>> = {
  none: row({ RequestWorker: 'WorkerRequested' }),
  REQUESTED: row({
    RecordStart: 'WorkerStarted',
    RetireWorker: 'WorkerRetired',
    RecordLoss: 'WorkerLost',
  }),
  STARTING: row({
    RecordReady: 'WorkerReady',
    RetireWorker: 'WorkerRetired',
    RecordLoss: 'WorkerLost',
  }),
  IDLE: row({
    AssignWorker: 'WorkerAssigned',
    RetireWorker: 'WorkerRetired',
    RecordLoss: 'WorkerLost',
  }),
  ASSIGNED: row({ RetireWorker: 'WorkerRetired', RecordLoss: 'WorkerLost' }),
  RETIRED: row({ RetireWorker: null, RecordLoss: null, RecordRemoval: 'WorkerRemoved' }),
  LOST: row({ RetireWorker: null, RecordLoss: null, RecordRemoval: 'WorkerRemoved' }),
  REMOVED: row({ RetireWorker: null, RecordLoss: null, RecordRemoval: null }),
};

function row(
  known: Partial<Record<WorkerCommand['type'], string | null>>,
): Record<WorkerCommand['type'], string | null> {
  return {
    RequestWorker: REFUSED,
    RecordStart: REFUSED,
    RecordReady: REFUSED,
    AssignWorker: REFUSED,
    RetireWorker: REFUSED,
    RecordLoss: REFUSED,
    RecordRemoval: REFUSED,
    ...known,
  };
}

const states = Object.keys(GIVEN) as State[];

describe('a worker', () => {
  const cases = states.flatMap((state) =>
    ALL.map((command) => [state, command.type, TABLE[state][command.type], command] as const),
  );

  it.each(cases)('given %s, when %s: %s', (state, _type, expected, command) => {
    const worker = given(...GIVEN[state]);
    expect(worker?.state ?? 'none').toBe(state);
    const decide = () => decideWorker(command, worker);
    if (expected === REFUSED) expect(decide).toThrow(WrongStateError);
    else expect(decide().map(({ type }) => type)).toEqual(expected === null ? [] : [expected]);
  });

  it.each(states)('given %s, is not given up as never made once it has been', (state) => {
    const giveUp: WorkerCommand = { ...lose, reason: 'create-failed' };
    const isMade = state === 'IDLE' || state === 'ASSIGNED';
    const expected = isMade ? null : TABLE[state].RecordLoss;
    const decide = () => decideWorker(giveUp, given(...GIVEN[state]));
    if (expected === REFUSED) expect(decide).toThrow(WrongStateError);
    else expect(decide().map(({ type }) => type)).toEqual(expected === null ? [] : [expected]);
  });

  it('records the facts it is told', () => {
    const { type: _, ...asked } = request;
    expect(decideWorker(request, null)).toEqual([{ type: 'WorkerRequested', data: asked }]);
    expect(decideWorker(start, given(request))).toEqual([
      { type: 'WorkerStarted', data: { at, containerId: 'c1', socketPath: '/s' } },
    ]);
    expect(decideWorker(ready, given(request, start))).toEqual([
      { type: 'WorkerReady', data: { at, readyMs: 700 } },
    ]);
    expect(decideWorker(assign, given(...GIVEN.IDLE))).toEqual([
      { type: 'WorkerAssigned', data: { at, sessionId } },
    ]);
    expect(decideWorker(lose, given(...GIVEN.ASSIGNED))).toEqual([
      {
        type: 'WorkerLost',
        data: { at, reason: 'oom', exitCode: 137, detail: 'out of memory' },
      },
    ]);
    expect(decideWorker(retire, given(...GIVEN.IDLE))).toEqual([
      { type: 'WorkerRetired', data: { at, reason: 'released' } },
    ]);
    expect(decideWorker(remove, given(...GIVEN.LOST))).toEqual([
      { type: 'WorkerRemoved', data: { at } },
    ]);
  });

  it('says in a refusal what was asked and how things are', () => {
    expect(() => decideWorker(assign, given(...GIVEN.RETIRED))).toThrow(/AssignWorker.*RETIRED/);
    expect(() => decideWorker(ready, null)).toThrow(/RecordReady.*not requested/);
  });
});

describe('any sequence of commands on a worker', () => {
  /** All events that a sequence leads to, refusals passed over. */
  function play(commands: readonly WorkerCommand[]): { events: WorkerEvent[]; states: string[] } {
    let worker: Worker | null = null;
    const events: WorkerEvent[] = [];
    const seen: string[] = [];
    for (const command of commands) {
      const decided = tryDecide(command, worker);
      for (const event of decided) {
        worker = evolveWorker(worker, event);
        events.push(event);
        seen.push(worker.state);
      }
      expect(worker?.version ?? 0).toBe(events.length);
    }
    return { events, states: seen };
  }

  function tryDecide(command: WorkerCommand, worker: Worker | null): WorkerEvent[] {
    try {
      return decideWorker(command, worker);
    } catch (error: unknown) {
      if (error instanceof WrongStateError) return [];
      throw error;
    }
  }

  const sequence = fc.array(fc.constantFrom(...ALL), { maxLength: 40 });
  const RANK = ['REQUESTED', 'STARTING', 'IDLE', 'ASSIGNED', 'RETIRED', 'LOST', 'REMOVED'];
  const ENDED = ['RETIRED', 'LOST'];

  it('only ever goes forward, is assigned at most once and ends at most once', () => {
    fc.assert(
      fc.property(sequence, (commands) => {
        const { events, states: seen } = play(commands);
        const ranks = seen.map((state) => RANK.indexOf(state));
        expect(ranks).toEqual([...ranks].sort((one, other) => one - other));
        expect(new Set(events.map(({ type }) => type)).size).toBe(events.length);
        expect(seen.filter((state) => ENDED.includes(state)).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('records the removal only of a worker that is over, and nothing after it', () => {
    fc.assert(
      fc.property(sequence, (commands) => {
        const { states: seen } = play(commands);
        const removedAt = seen.indexOf('REMOVED');
        if (removedAt < 0) return;
        expect(ENDED).toContain(seen[removedAt - 1]);
        expect(removedAt).toBe(seen.length - 1);
      }),
    );
  });

  it('decides nothing new when its last command is repeated', () => {
    fc.assert(
      fc.property(sequence, fc.constantFrom(...ALL), (commands, last) => {
        const once = play([...commands, last]).events;
        expect(play([...commands, last, last]).events).toEqual(once);
      }),
    );
  });
});
