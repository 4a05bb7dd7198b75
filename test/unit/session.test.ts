import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import {
  type CloseReason,
  decideSession,
  evolveSession,
  type Session,
  type SessionCommand,
  type SessionEvent,
} from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';

const at = '2026-01-02T03:04:05.678Z';
const executionId = newId<ExecutionId>();
const open = {
  type: 'OpenSession',
  at,
  sessionId: newId<SessionId>(),
  tenant: 'default',
  userUuid: 'ann',
  workerId: newId<WorkerId>(),
  previous: null,
} as const satisfies SessionCommand;
const restart: SessionCommand = {
  type: 'RecordKernelRestart',
  at,
  reason: 'timeout',
  executionId,
};
const request: SessionCommand = { type: 'RequestKernelRestart', at };
const close: SessionCommand = { type: 'CloseSession', at, reason: 'idle' };

function given(...commands: readonly SessionCommand[]): Session | null {
  return commands.reduce<Session | null>(
    (session, command) => decideSession(command, session).reduce(evolveSession, session),
    null,
  );
}

function closed(reason: CloseReason): Session | null {
  return given(open, { type: 'CloseSession', at, reason });
}

describe('a session', () => {
  it('given none, when opened: it is open on its worker', () => {
    const { sessionId, tenant, userUuid, workerId } = open;
    expect(decideSession(open, null)).toEqual([
      {
        type: 'SessionOpened',
        data: { at, sessionId, tenant, userUuid, workerId, followsLoss: false },
      },
    ]);
  });

  it.each([request, restart, close])('given none, when $type: refused', (command) => {
    expect(() => decideSession(command, null)).toThrow(WrongStateError);
  });

  it.each([
    ['open', given(open)],
    ['closed', closed('idle')],
  ])('given one that is %s, when opened again: refused', (_state, session) => {
    expect(() => decideSession(open, session)).toThrow(WrongStateError);
  });

  it('given open, when its kernel was replaced: it stays open', () => {
    expect(decideSession(restart, given(open))).toEqual([
      { type: 'KernelRestarted', data: { at, reason: 'timeout', executionId } },
    ]);
    expect(given(open, restart, restart)).toMatchObject({ kernelRestarts: 2, closedAt: null });
  });

  it('given open, when a fresh kernel is asked for: that is recorded, each time, and nothing has happened yet', () => {
    const requested = { type: 'KernelRestartRequested', data: { at } };
    expect(decideSession(request, given(open))).toEqual([requested]);
    const again = given(open, request);
    expect(decideSession(request, again)).toEqual([requested]);
    expect(again).toMatchObject({ version: 2, kernelRestarts: 0, kernelRestartedAt: null });
  });

  it('given open, when closed: it is closed', () => {
    expect(decideSession(close, given(open))).toEqual([
      { type: 'SessionClosed', data: { at, reason: 'idle' } },
    ]);
  });

  it.each([request, restart, close])('given closed, when $type: nothing', (command) => {
    expect(decideSession(command, closed('released'))).toEqual([]);
  });

  it.each([
    ['nothing', null, false],
    ['one the user released', closed('released'), false],
    ['an idle one', closed('idle'), true],
    ['an expired one', closed('expired'), true],
    ['one whose worker was lost', closed('worker-lost'), true],
    ['one that a shutdown ended', closed('shutdown'), true],
  ])('after %s it follows a loss: %3$s', (_what, previous, followsLoss) => {
    expect(decideSession({ ...open, previous }, null)[0]?.data).toMatchObject({ followsLoss });
  });
});

describe('any sequence of commands on a session', () => {
  const command = fc.constantFrom<SessionCommand>(
    open,
    request,
    restart,
    close,
    { type: 'CloseSession', at, reason: 'released' },
    { type: 'RecordKernelRestart', at, reason: 'oom', executionId: null },
  );

  it('opens it once at the start, closes it once at the end, and counts its kernels', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        let session: Session | null = null;
        const events: SessionEvent[] = [];
        for (const next of commands) {
          for (const event of tryDecide(next, session)) {
            session = evolveSession(session, event);
            events.push(event);
          }
        }
        const types = events.map(({ type }) => type);
        expect(types.lastIndexOf('SessionOpened')).toBe(types.length === 0 ? -1 : 0);
        const closeIndex = types.indexOf('SessionClosed');
        if (closeIndex >= 0) expect(closeIndex).toBe(types.length - 1);
        expect(session?.version ?? 0).toBe(events.length);
        expect(session?.kernelRestarts ?? 0).toBe(
          types.filter((type) => type === 'KernelRestarted').length,
        );
        expect(session === null || session.closedAt === null).toBe(closeIndex < 0);
      }),
    );
  });

  function tryDecide(next: SessionCommand, session: Session | null): SessionEvent[] {
    try {
      return decideSession(next, session);
    } catch (error: unknown) {
      if (error instanceof WrongStateError) return [];
      throw error;
    }
  }
});
