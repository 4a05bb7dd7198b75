/** Tests what the checker of chaos runs finds about commands and contexts, in a sound history with one change. */
import { describe, expect, it } from 'vitest';
import { CALL_LIMIT_MS } from '../../chaos/clients/attempts.ts';
import { makeCommand } from '../../chaos/clients/shellCells.ts';
import type { CellKind, History } from '../../chaos/history.ts';
import type { DomainEvent } from '../../src/domain/events.ts';
import { foundIn, soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();

const found = (change: Partial<History>) => foundIn(sound, change);

const callOf = (kind: CellKind) => {
  const call = sound.calls.find(({ cell }) => cell === kind);
  if (!call?.answer?.id) throw new Error(`There is no ${kind}.`);
  return { ...call, id: call.answer.id };
};
/** The history with another text in the outputs and answers of one kind of execution. */
function withText(kind: CellKind, change: (text: string) => string): Partial<History> {
  const { id } = callOf(kind);
  return {
    outputs: sound.outputs.map((each) =>
      each.executionId === id ? { ...each, text: change(each.text) } : each,
    ),
    calls: sound.calls.map((call) =>
      call.answer?.id === id
        ? { ...call, answer: { ...call.answer, stdout: change(call.answer.stdout) } }
        : call,
    ),
    watches: [],
  };
}
const withEvents = (change: (event: DomainEvent) => DomainEvent | null): Partial<History> => ({
  events: sound.events
    .flatMap((each) => {
      const event = change(each.event);
      return event ? [{ ...each, event }] : [];
    })
    .map((event, index) => ({ ...event, position: index + 1 })),
});
/** The history with another end of one execution. */
const withEnd = (kind: CellKind, change: object): Partial<History> => ({
  events: sound.events.map((each) =>
    each.streamId === callOf(kind).id && each.event.type === 'ExecutionFinished'
      ? { ...each, event: { ...each.event, data: { ...each.event.data, ...change } } }
      : each,
  ),
});

describe('a command', () => {
  it('is reported when it ran twice', () => {
    const { key } = callOf('shell-stream');
    expect(found(withText('shell-stream', (text) => text.replace('$ 1', '$ 2')))).toEqual([
      `doubled: command ${key} ran 2 times`,
    ]);
    expect(
      found(withText('ledger', (text) => text.replace(`${key};`, `${key};\n${key};`))),
    ).toEqual([expect.stringMatching(`^doubled: command ${key} is twice in the list`)]);
  });

  it('is reported when it ran but is not in the ledger, or is there but not recorded', () => {
    const { key } = callOf('shell-stream');
    expect(found(withText('ledger', (text) => text.replace(`${key};`, '')))).toEqual([
      expect.stringMatching(`^lost: command ${key} ran, and is not in the list`),
    ]);
    expect(found(withText('ledger', (text) => text.replace(/;\n$/, ';\nstranger;\n')))).toEqual([
      expect.stringMatching('^lost: command stranger is in the list .*, and is not recorded'),
    ]);
  });

  it('is reported when a line of its output is missing', () => {
    expect(found(withText('shell-stream', (text) => text.replace(/(?<!\d)7:\n/, '')))).toEqual([
      expect.stringMatching(/^lost: the stored output of .* lacks lines/),
    ]);
  });

  it('is reported when it has a wrong exit code without a fault, or is recorded as OK', () => {
    const { calls } = sound;
    const faults = sound.faults.filter(({ name }) => name !== 'helper: kill -9');
    expect(found({ ...withEnd('shell-stream', { exitCode: 1 }), faults })).toContainEqual(
      expect.stringMatching(
        /^lost: execution .* \(shell-stream\) ended as ERROR .* without a cause/,
      ),
    );
    expect(found({ ...withEnd('shell-stream', { status: 'OK' }), calls })).toContainEqual(
      expect.stringMatching(/^lost: command .* ended as OK with exit code 3/),
    );
  });

  it('is reported when its caller got an exit code other than the recorded one', () => {
    const calls = sound.calls.map((call) =>
      call.cell === 'shell-stream' && call.answer
        ? { ...call, answer: { ...call.answer, exitCode: 0 } }
        : call,
    );
    expect(found({ calls })).toEqual([
      expect.stringMatching(/^lost: execute of ann, .* exit code 0, recorded is .* exit code 3/),
    ]);
  });

  it('is reported when it was lost without a fault', () => {
    const faults = sound.faults.filter(({ name }) => name !== 'helper: kill -9');
    expect(found({ faults })).toEqual([
      expect.stringMatching(/^lost: execution .* ended as ERROR \(CommandLost\) without a cause/),
    ]);
  });

  it.each(['server', 'shell-endless'] as const)(
    'is reported when a %s ends by its time limit, though its user interrupts it',
    (kind) => {
      expect(found(withEnd(kind, { status: 'TIMEOUT' }))).toContainEqual(
        expect.stringMatching(`^lost: execution .* \\(${kind}\\) ended as TIMEOUT without a cause`),
      );
      // The limit is longer than the user's two calls: to reach the command, and to interrupt it.
      expect(makeCommand(kind, 'key', 1).timeoutMs).toBeGreaterThan(2 * CALL_LIMIT_MS);
    },
  );

  it('is reported when it ran as a server, and could not be reached', () => {
    const faults = sound.faults.filter(({ name }) => name !== 'helper: kill -9');
    const change = withText('fetch', (text) => text.replace('reached', 'not reached'));
    expect(found({ ...change, faults })).toContain(
      'lost: the server ann-server ran, and could not be reached',
    );
  });
});

describe('a context', () => {
  const contexts = sound.events.filter(({ event }) => event.type === 'ContextCreated');
  const [first, second, third] = contexts.map(({ streamId }) => streamId);

  it('is reported when it has ended and nobody has asked for that', () => {
    const calls = sound.calls.filter(({ operation }) => operation !== 'deleteContext');
    expect(found({ calls })).toEqual([
      `lost: context ${first} of ann ended as deleted without a cause`,
    ]);
  });

  it('is reported when another context has the same name at the same time', () => {
    const events = withEvents((event) => (event.type === 'ContextEnded' ? null : event));
    expect(found(events)).toContainEqual(
      expect.stringMatching(/^doubled: two contexts are called a of session/),
    );
  });

  it('is reported when it is open though its session is not', () => {
    const events = withEvents((event) =>
      event.type === 'ContextEnded' && event.data.reason === 'released' ? null : event,
    );
    expect(found(events)).toEqual([`orphan: context ${third} of bob is open, its session is not`]);
  });

  it('is reported when its creation is not recorded', () => {
    const events = sound.events
      .filter(({ streamId }) => streamId !== second)
      .map((event, index) => ({ ...event, position: index + 1 }));
    expect(found({ events })).toContain(
      `lost: ann was told context ${second}, which is not recorded as theirs`,
    );
  });

  it('is reported when its code ran in the kernel of another context', () => {
    const ranIn = (contextId: string | undefined) =>
      sound.events.flatMap(({ event, streamId }) =>
        event.type === 'ExecutionRequested' && event.data.contextId === contextId ? streamId : [],
      );
    const markOf = (id: string | undefined) =>
      sound.outputs.find(({ executionId }) => executionId === id)?.text ?? '';
    const [other, own] = [ranIn(first).at(-1), ranIn(second)[0]];
    const outputs = sound.outputs.map((each) =>
      each.executionId === own
        ? { ...each, text: each.text.replace(/^@.*/, markOf(other).trimEnd()) }
        : each,
    );
    expect(found({ outputs })).toContainEqual(
      expect.stringMatching(/^lost: .* ran in the kernel of another context$/),
    );
  });

  it('is reported when a call for it was refused though it was open', () => {
    const refused = sound.calls.find(({ contextId }) => contextId === first);
    if (!refused) throw new Error('There is no call.');
    const calls = [...sound.calls, { ...refused, key: null, answer: null, refusal: 'NOT_FOUND' }];
    expect(found({ calls })).toEqual([
      expect.stringMatching(/^lost: execute of ann was refused with NOT_FOUND/),
    ]);
    const late = { startedAt: refused.endedAt + 60_000, endedAt: refused.endedAt + 60_001 };
    const after = [...sound.calls, { ...refused, ...late, answer: null, refusal: 'NOT_FOUND' }];
    expect(found({ calls: after })).toEqual([
      `lost: key ${refused.key} of ann was refused, and is recorded`,
    ]);
  });
});
