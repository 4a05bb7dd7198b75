import { describe, expect, it } from 'vitest';
import {
  type ContextCommand,
  type ContextEndReason,
  type ContextEvent,
  decideContext,
  evolveContext,
} from '../../src/domain/context.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const who = {
  at,
  contextId: newId<ContextId>(),
  sessionId: newId<SessionId>(),
  workerId: newId<WorkerId>(),
  tenant: 'default',
  userUuid: 'ann',
  name: 'analysis',
  workingDirectory: '/home/user/data',
  slot: 2,
};
const cause = { at, reason: 'oom', executionId: newId<ExecutionId>() } as const;

const create: ContextCommand = { type: 'CreateContext', ...who };
const start: ContextCommand = { type: 'RecordContextStart', at, readyMs: 90 };
const request: ContextCommand = { type: 'RequestContextRestart', at };
const restart: ContextCommand = { type: 'RecordContextRestart', ...cause };
const remove: ContextCommand = { type: 'RequestContextDelete', at };
const end = (reason: ContextEndReason): ContextCommand => ({ type: 'EndContext', at, reason });

const created: ContextEvent = { type: 'ContextCreated', data: who };
const started: ContextEvent = { type: 'ContextStarted', data: { at, readyMs: 90 } };
const requested: ContextEvent = { type: 'ContextRestartRequested', data: { at } };
const restarted: ContextEvent = { type: 'ContextRestarted', data: cause };
const removing: ContextEvent = { type: 'ContextDeleteRequested', data: { at } };
const ended = (reason: ContextEndReason): ContextEvent => ({
  type: 'ContextEnded',
  data: { at, reason },
});

const { given, play } = deciderSpecification({ decide: decideContext, evolve: evolveContext });

describe('a context', () => {
  it('given none, when created: it starts in its slot', () => {
    given().when(create).then(created);
    const { contextId: id, at: _, ...facts } = who;
    expect(given(created).state).toMatchObject({ id, version: 1, status: 'STARTING', ...facts });
  });

  it('given one, when created again: it is refused', () => {
    given(created)
      .when(create)
      .thenThrows(/STARTING/);
  });

  it('given none, when anything else comes: it is refused', () => {
    for (const command of [start, request, restart, remove, end('deleted')])
      given()
        .when(command)
        .thenThrows(/not created/);
  });

  it('given a new one, when its kernel answers: it is ready, once', () => {
    given(created).when(start).then(started);
    expect(given(created, started).state).toMatchObject({ status: 'READY', readyMs: 90 });
    given(created, started).when(start).then();
  });

  it('given an open one, when a restart is requested and done: the restart is counted', () => {
    given(created).when(request).then(requested);
    given(created, started, requested).when(restart).then(restarted);
    expect(given(created, started, restarted, restarted).state).toMatchObject({
      status: 'READY',
      kernelRestarts: 2,
      kernelRestartedAt: new Date(at),
    });
  });

  it('given one that is being deleted: no further request is recorded, but restarts and its end are', () => {
    const deleting = [created, started, removing];
    expect(given(...deleting).state).toMatchObject({ status: 'ENDING', endedAt: null });
    for (const command of [request, remove, start])
      given(...deleting)
        .when(command)
        .then();
    given(...deleting)
      .when(restart)
      .then(restarted);
    given(...deleting)
      .when(end('deleted'))
      .then(ended('deleted'));
  });

  it.each(['failed', 'released', 'worker-lost'] as const)(
    'given one that nobody deleted, when it ends as %s: it has ended for that reason',
    (reason) => {
      given(created).when(end(reason)).then(ended(reason));
      expect(given(created, started, ended(reason)).state).toMatchObject({
        status: 'ENDED',
        endedAt: new Date(at),
        endReason: reason,
      });
    },
  );

  it('given an ended one: nothing more is recorded', () => {
    for (const command of [start, request, restart, remove, end('idle')])
      given(created, ended('deleted')).when(command).then();
  });

  it('ends once, and its version counts its events, whatever comes', () => {
    const commands = fc.array(
      fc.constantFrom(start, request, restart, remove, end('deleted'), end('idle')),
    );
    fc.assert(
      fc.property(commands, (rest) => {
        const recorded = play([create, ...rest]);
        for (const [index, [, state]] of recorded.entries()) expect(state.version).toBe(index + 1);
        const ends = recorded.filter(([{ type }]) => type === 'ContextEnded');
        expect(ends.length).toBeLessThanOrEqual(1);
        expect(recorded.at(-1)?.[1].endedAt === null).toBe(ends.length === 0);
      }),
    );
  });
});
