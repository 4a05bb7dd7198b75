/** Tests what the checker of chaos runs finds about users of doors, in a sound history with one change. */
import { describe, expect, it } from 'vitest';
import type { CallRecord, History } from '../../chaos/history.ts';
import { doorsUsed } from '../../chaos/report.ts';
import { foundIn, soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();
const found = (change: Partial<History>) => foundIn(sound, change);

const withCall = (key: string, change: Partial<CallRecord>): Partial<History> => ({
  calls: sound.calls.map((call) => (call.key === key ? { ...call, ...change } : call)),
});
const callOf = (key: string): CallRecord & { answer: NonNullable<CallRecord['answer']> } => {
  const call = sound.calls.find((each) => each.key === key);
  if (!call?.answer) throw new Error(`There is no ${key}.`);
  return { ...call, answer: call.answer };
};
/** The history with the text of an execution changed, in its outputs and in its answer. */
const withOutput = (key: string, change: (text: string) => string): Partial<History> => {
  const { id } = callOf(key).answer;
  const outputs = sound.outputs.map((each) =>
    each.executionId === id ? { ...each, text: change(each.text) } : each,
  );
  const stdout = change(callOf(key).answer.stdout);
  return { outputs, ...withCall(key, { answer: { ...callOf(key).answer, stdout } }) };
};

it('The report says how many calls were answered, and how many unanswered calls are recorded', () => {
  expect(doorsUsed(sound)).toBe(
    'over mcp, 6 calls with code answered, and 1 not, of which 1 are recorded; ' +
      'over jupyter, 6 calls with code answered, and 0 not, of which 0 are recorded',
  );
});

describe('a call over MCP, which has no idempotency key', () => {
  it('is reported when its code is recorded twice', () => {
    const requested = sound.events.find(
      ({ event }) => event.type === 'ExecutionRequested' && event.data.code.includes("'mcp-4'"),
    );
    if (!requested) throw new Error('mcp-4 is not recorded.');
    const twin = { ...requested, streamId: 'twin', position: sound.events.length + 1 };
    expect(found({ events: [...sound.events, twin] })).toContain(
      'doubled: key mcp-4 has 2 executions',
    );
  });

  it('is reported when its code ran twice', () => {
    const again = (text: string) => text.replace('mcp-gone', 'mcp-4').replace(/ \d+ /, ' 5 ');
    expect(found(withOutput('mcp-4', again))).toContainEqual(
      expect.stringMatching(/^doubled: mcp-4 \(life .*, place 5\) ran twice/),
    );
  });

  it('is reported when a piece of output is twice in its answer, or missing', () => {
    const { answer } = callOf('mcp-2');
    for (const stdout of [answer.stdout.replace('7:\n', ''), `${answer.stdout}29:\n`])
      expect(found(withCall('mcp-2', { answer: { ...answer, stdout } }))).toEqual([
        expect.stringMatching(/^lost: execute of mcp, key mcp-2 was told \d+ characters of output/),
      ]);
  });

  it('is reported when it was interrupted although its caller had the answer', () => {
    const { answer } = callOf('mcp-2');
    const id = sound.events.find(
      ({ event }) => event.type === 'ExecutionRequested' && event.data.code.includes("'mcp-gone'"),
    )?.streamId;
    const told = { ...answer, id: id ?? '', status: 'INTERRUPTED' };
    expect(found(withCall('mcp-gone', { answer: told }))).toContainEqual(
      expect.stringMatching(/^lost: execution .* ended as INTERRUPTED without a cause/),
    );
  });

  it('is reported when it is recorded with another wire', () => {
    const events = sound.events.map((each) => {
      const { actor } = each.metadata;
      const other = actor && ({ ...actor, door: 'graphql' } as const);
      return { ...each, metadata: { ...each.metadata, actor: other } };
    });
    expect(found({ events })).toContain(
      'lost: mcp-1 was called over mcp, and is recorded as come by graphql',
    );
  });
});

describe('a cell over Jupyter', () => {
  it('is reported when its request is recorded twice', () => {
    const requested = sound.events.find(
      ({ streamId }) => streamId === callOf('jupyter-1').answer.id,
    );
    if (!requested) throw new Error('jupyter-1 is not recorded.');
    const twin = { ...requested, streamId: 'twin', position: sound.events.length + 1 };
    expect(found({ events: [...sound.events, twin] })).toContain(
      'doubled: key jupyter-1 has 2 executions',
    );
  });

  it('is reported when output is missing or doubled at its client, which had to reconnect', () => {
    const { answer } = callOf('jupyter-again');
    const failures = { 'The connection broke.': 1 };
    for (const stdout of [answer.stdout.replace('27:\n', ''), `${answer.stdout}29:\n`])
      expect(found(withCall('jupyter-again', { failures, answer: { ...answer, stdout } }))).toEqual(
        [expect.stringMatching(/^lost: execute of jupyter, key .* was told \d+ characters/)],
      );
  });

  it('is reported when its client asked for a minute after its end, and did not learn of it', () => {
    const { endedAt } = callOf('jupyter-again');
    const untold = { answer: null, endedAt: endedAt + 30_000 };
    expect(found(withCall('jupyter-again', untold))).toEqual([]);
    expect(found(withCall('jupyter-again', { ...untold, endedAt: endedAt + 61_000 }))).toEqual([
      'lost: jupyter-again ended as OK, and its client was not told',
    ]);
  });

  it('is reported when it was interrupted, and nobody had asked for that', () => {
    const calls = sound.calls.filter(({ operation }) => operation !== 'interruptKernel');
    expect(found({ calls })).toEqual([
      expect.stringMatching(/^lost: execution .* ended as INTERRUPTED without a cause/),
    ]);
  });

  it('is reported when its session was shut down while clients called', () => {
    const opened = sound.events.findLast(({ event }) => event.type === 'SessionOpened');
    if (!opened) throw new Error('There is no session.');
    const { at } = opened.event.data;
    const closed = { type: 'SessionClosed', data: { reason: 'shutdown', at } } as const;
    const position = sound.events.length + 1;
    expect(
      found({ events: [...sound.events, { ...opened, position, event: closed }] }),
    ).toContainEqual(
      expect.stringMatching(/^lost: session .* of jupyter ended as shutdown without a cause/),
    );
  });
});

it('Calls over MCP are reported as no proof if none was answered', () => {
  const calls = sound.calls.map((call) => (call.wire === 'mcp' ? { ...call, answer: null } : call));
  expect(found({ calls })).toContain('lost: the proof: none of 7 calls over mcp was answered');
});
