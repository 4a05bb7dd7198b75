import { describe, expect, it } from 'vitest';
import type { ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import {
  type CloseReason,
  decideSession,
  evolveSession,
  NO_OPTIONS,
  type SessionCommand,
  type SessionEvent,
} from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const executionId = newId<ExecutionId>();
const who = {
  at,
  sessionId: newId<SessionId>(),
  tenant: 'default',
  userUuid: 'ann',
  workerId: newId<WorkerId>(),
};
const cause = { at, reason: 'timeout', executionId } as const;

const open = {
  type: 'OpenSession',
  ...who,
  previous: null,
  options: null,
} as const satisfies SessionCommand;
const request: SessionCommand = { type: 'RequestKernelRestart', at };
const restart: SessionCommand = { type: 'RecordKernelRestart', ...cause };
const expiresAt = '2026-01-02T05:00:00.000Z';
const live: SessionCommand = { type: 'ChangeSessionLife', at, expiresAt };
const options = {
  metadata: { team: 'red' },
  environmentVariableNames: ['TOKEN'],
  idleTimeoutMs: 2_000,
  maxLifeMs: 60_000,
  egressAllow: ['pypi.org'],
  environment: 'science',
};
const close: SessionCommand = { type: 'CloseSession', at, reason: 'idle' };

const opened: SessionEvent = { type: 'SessionOpened', data: { ...who, followsLoss: false } };
const requested: SessionEvent = { type: 'KernelRestartRequested', data: { at } };
const restarted: SessionEvent = { type: 'KernelRestarted', data: cause };
const lives: SessionEvent = { type: 'SessionLifeChanged', data: { at, expiresAt } };
const closed = (reason: CloseReason): SessionEvent => ({
  type: 'SessionClosed',
  data: { at, reason },
});

const { given, play } = deciderSpecification({ decide: decideSession, evolve: evolveSession });

describe('a session', () => {
  it('given none, when opened: it is open on its worker', () => {
    given().when(open).then(opened);
    const { sessionId: id, tenant, userUuid, workerId } = who;
    expect(given(opened).state).toMatchObject({ id, tenant, userUuid, workerId, closedAt: null });
  });

  it('given none, when opened with options: they are recorded, and determine when it expires', () => {
    const data = { ...who, followsLoss: false, options };
    given()
      .when({ ...open, options })
      .then({ type: 'SessionOpened', data });
    expect(given({ type: 'SessionOpened', data }).state).toMatchObject({
      ...options,
      hasOptions: true,
      expiresAt: new Date('2026-01-02T03:05:05.678Z'),
    });
  });

  it('given none, when opened with options but no environment: the event has no `environment`', () => {
    const { environment: _, ...older } = options;
    const data = { ...who, followsLoss: false, options: older };
    given()
      .when({ ...open, options: { ...options, environment: null } })
      .then({ type: 'SessionOpened', data });
    expect(given({ type: 'SessionOpened', data }).state).toMatchObject({ environment: null });
  });

  it('given none, when opened without options: the event has no `options`', () => {
    expect(opened.data).not.toHaveProperty('options');
    expect(given(opened).state).toMatchObject({
      ...NO_OPTIONS,
      hasOptions: false,
      expiresAt: null,
    });
  });

  it('given open, when its life is changed: it expires at the new time, after each change', () => {
    given(opened).when(live).then(lives);
    given(opened, lives).when(live).then(lives);
    expect(given(opened, lives).state).toMatchObject({
      version: 2,
      expiresAt: new Date(expiresAt),
      hasOptions: false,
    });
  });

  it.each([request, restart, live, close])('given none, when $type: refused', (command) => {
    given().when(command).thenThrows();
  });

  it('given open or closed, when opened again: refused', () => {
    given(opened).when(open).thenThrows();
    given(opened, closed('idle')).when(open).thenThrows();
  });

  it('given open, when its kernel was replaced: it stays open', () => {
    given(opened).when(restart).then(restarted);
    const twice = given(opened, restarted, restarted).state;
    expect(twice).toMatchObject({ kernelRestarts: 2, closedAt: null });
  });

  it('given open, when a restart is requested: each request is recorded, and no restart counts yet', () => {
    given(opened).when(request).then(requested);
    given(opened, requested).when(request).then(requested);
    const { state } = given(opened, requested);
    expect(state).toMatchObject({ version: 2, kernelRestarts: 0, kernelRestartedAt: null });
  });

  it('given open, when closed: it is closed', () => {
    given(opened).when(close).then(closed('idle'));
    const { state } = given(opened, closed('idle'));
    expect(state).toMatchObject({ closedAt: new Date(at), closeReason: 'idle' });
  });

  it.each([request, restart, live, close])('given closed, when $type: nothing', (command) => {
    given(opened, closed('released')).when(command).then();
  });

  it.each<[string, SessionEvent[], boolean]>([
    ['nothing', [], false],
    ['one the user released', [opened, closed('released')], false],
    ['an idle one', [opened, closed('idle')], true],
    ['an expired one', [opened, closed('expired')], true],
    ['one whose worker was lost', [opened, closed('worker-lost')], true],
    ['one that a shutdown ended', [opened, closed('shutdown')], true],
  ])('after %s it follows a loss: %3$s', (_what, before, followsLoss) => {
    given()
      .when({ ...open, previous: given(...before).state })
      .then({ type: 'SessionOpened', data: { ...who, followsLoss } });
  });
});

describe('any sequence of commands on a session', () => {
  const command = fc.constantFrom<SessionCommand>(
    open,
    request,
    restart,
    live,
    close,
    { type: 'CloseSession', at, reason: 'released' },
    { type: 'RecordKernelRestart', at, reason: 'oom', executionId: null },
  );

  it('opens it once at the start, closes it once at the end, and counts its restarts', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const played = play(commands);
        const types = played.map(([{ type }]) => type);
        const session = played.at(-1)?.[1] ?? null;
        expect(types.lastIndexOf('SessionOpened')).toBe(types.length === 0 ? -1 : 0);
        const closeIndex = types.indexOf('SessionClosed');
        if (closeIndex >= 0) expect(closeIndex).toBe(types.length - 1);
        expect(session?.version ?? 0).toBe(types.length);
        expect(session?.kernelRestarts ?? 0).toBe(
          types.filter((type) => type === 'KernelRestarted').length,
        );
        expect(session === null || session.closedAt === null).toBe(closeIndex < 0);
      }),
    );
  });
});
