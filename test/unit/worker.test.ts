import { describe, expect, it } from 'vitest';
import type { EnvironmentId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import {
  decideWorker,
  evolveWorker,
  type WorkerCommand,
  type WorkerEvent,
} from '../../src/domain/worker.ts';
import { newId } from '../../src/process/newId.ts';
import { POOL_ID } from '../../testkit/events.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const sessionId = newId<SessionId>();
const asked = {
  at,
  workerId: newId<WorkerId>(),
  poolId: POOL_ID,
  name: 'worker-1',
  imageId: 'sha256:1',
  runtime: 'runc',
  limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
} as const;
const place = { at, containerId: 'c1', socketPath: '/s' };
const loss = { at, reason: 'oom', exitCode: 137, detail: 'out of memory' } as const;

const request = { type: 'RequestWorker', ...asked, environmentId: null } as const;
const start: WorkerCommand = { type: 'RecordStart', ...place };
const ready: WorkerCommand = { type: 'RecordReady', at, readyMs: 700 };
const assign: WorkerCommand = { type: 'AssignWorker', at, sessionId };
const retire: WorkerCommand = { type: 'RetireWorker', at, reason: 'released' };
const lose: WorkerCommand = { type: 'RecordLoss', ...loss };
const giveUp: WorkerCommand = { ...lose, reason: 'create-failed' };
const remove: WorkerCommand = { type: 'RecordRemoval', at };
const COMMANDS = { request, start, ready, assign, retire, lose, giveUp, remove };
type Name = keyof typeof COMMANDS;
const NAMES = Object.keys(COMMANDS) as Name[];

const requested: WorkerEvent = { type: 'WorkerRequested', data: asked };
const started: WorkerEvent = { type: 'WorkerStarted', data: place };
const isReady: WorkerEvent = { type: 'WorkerReady', data: { at, readyMs: 700 } };
const assigned: WorkerEvent = { type: 'WorkerAssigned', data: { at, sessionId } };
const retired: WorkerEvent = { type: 'WorkerRetired', data: { at, reason: 'released' } };
const lost: WorkerEvent = { type: 'WorkerLost', data: loss };
const givenUp: WorkerEvent = { type: 'WorkerLost', data: { ...loss, reason: 'create-failed' } };
const removed: WorkerEvent = { type: 'WorkerRemoved', data: { at } };

/** The events that lead to each state. */
const HISTORY = {
  none: [],
  REQUESTED: [requested],
  STARTING: [requested, started],
  IDLE: [requested, started, isReady],
  ASSIGNED: [requested, started, isReady, assigned],
  RETIRED: [requested, started, isReady, assigned, retired],
  LOST: [requested, started, lost],
  REMOVED: [requested, started, lost, removed],
} as const satisfies Record<string, readonly WorkerEvent[]>;
type State = keyof typeof HISTORY;
const STATES = Object.keys(HISTORY) as State[];

/** No event: what the command asks for has happened already, or no longer applies. */
const NOTHING: readonly WorkerEvent[] = [];
/** The event that each command records in each state. A command that is missing here is refused. */
const RECORDED: Readonly<Record<State, Partial<Record<Name, readonly WorkerEvent[]>>>> = {
  none: { request: [requested] },
  REQUESTED: { start: [started], retire: [retired], lose: [lost], giveUp: [givenUp] },
  STARTING: { ready: [isReady], retire: [retired], lose: [lost], giveUp: [givenUp] },
  // The worker exists, so it can no longer be given up as never made.
  IDLE: { assign: [assigned], retire: [retired], lose: [lost], giveUp: NOTHING },
  ASSIGNED: { retire: [retired], lose: [lost], giveUp: NOTHING },
  RETIRED: { retire: NOTHING, lose: NOTHING, giveUp: NOTHING, remove: [removed] },
  LOST: { retire: NOTHING, lose: NOTHING, giveUp: NOTHING, remove: [removed] },
  REMOVED: { retire: NOTHING, lose: NOTHING, giveUp: NOTHING, remove: NOTHING },
};

const { given, play } = deciderSpecification({ decide: decideWorker, evolve: evolveWorker });

describe('a worker', () => {
  it.each(STATES)('is %s after the events that lead there', (state) => {
    expect(given(...HISTORY[state]).state?.state ?? 'none').toBe(state);
  });

  it.each(STATES.flatMap((state) => NAMES.map((name) => [state, name] as const)))(
    'given %s, when %s: recorded, nothing or refused',
    (state, name) => {
      const outcome = given(...HISTORY[state]).when(COMMANDS[name]);
      const events = RECORDED[state][name];
      if (events) outcome.then(...events);
      else outcome.thenThrows();
    },
  );

  it('given none, when requested with an environment: it keeps that environment; without one, it has none', () => {
    const environmentId = newId<EnvironmentId>();
    const data = { ...asked, environmentId };
    given()
      .when({ ...request, environmentId })
      .then({ type: 'WorkerRequested', data });
    expect(given({ type: 'WorkerRequested', data }, started, isReady).state).toMatchObject({
      state: 'IDLE',
      environmentId,
    });
    expect(given(requested).state?.environmentId).toBeNull();
  });

  it('names the command and its own state in a refusal', () => {
    given(...HISTORY.RETIRED)
      .when(assign)
      .thenThrows(/AssignWorker.*RETIRED/);
    given()
      .when(ready)
      .thenThrows(/RecordReady.*not requested/);
  });
});

describe('any sequence of commands on a worker', () => {
  const ALL = [request, start, ready, assign, retire, lose, remove];
  const sequence = fc.array(fc.constantFrom(...ALL), { maxLength: 40 });
  const RANK = ['REQUESTED', 'STARTING', 'IDLE', 'ASSIGNED', 'RETIRED', 'LOST', 'REMOVED'];
  const ENDED = ['RETIRED', 'LOST'];
  const eventsOf = (commands: readonly WorkerCommand[]) => play(commands).map(([event]) => event);
  const statesOf = (commands: readonly WorkerCommand[]) =>
    play(commands).map(([, { state }]) => state);

  it('only ever goes forward, is assigned at most once and ends at most once', () => {
    fc.assert(
      fc.property(sequence, (commands) => {
        const events = eventsOf(commands);
        const seen = statesOf(commands);
        const ranks = seen.map((state) => RANK.indexOf(state));
        expect(ranks).toEqual([...ranks].sort((one, other) => one - other));
        expect(new Set(events.map(({ type }) => type)).size).toBe(events.length);
        expect(seen.filter((state) => ENDED.includes(state)).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('counts its events', () => {
    fc.assert(
      fc.property(sequence, (commands) => {
        const versions = play(commands).map(([, { version }]) => version);
        expect(versions).toEqual(versions.map((_, index) => index + 1));
      }),
    );
  });

  it('records the removal only of a retired or lost worker, and nothing after it', () => {
    fc.assert(
      fc.property(sequence, (commands) => {
        const seen = statesOf(commands);
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
        const once = eventsOf([...commands, last]);
        expect(eventsOf([...commands, last, last])).toEqual(once);
      }),
    );
  });
});
