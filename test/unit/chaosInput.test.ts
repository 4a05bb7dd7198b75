/** Tests what the checker of chaos runs finds about input, in a sound history with one change. */
import { describe, expect, it } from 'vitest';
import { inputTextOf } from '../../chaos/clients/inputs.ts';
import type { History, InputRecord } from '../../chaos/history.ts';
import type { InputPiece } from '../../src/domain/execution.ts';
import { foundIn, soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();

const found = (change: Partial<History>) => foundIn(sound, change);

const READERS = ['ann-input', 'ann-shell-input'] as const;
type Key = (typeof READERS)[number];

const idOf = (wanted: string): string => {
  const id = sound.calls.find(({ key }) => key === wanted)?.answer?.id;
  if (!id) throw new Error(`There is no ${wanted}.`);
  return id;
};
const wholeOf = (key: Key) => Buffer.byteLength(inputTextOf(key));

/** The history with each recorded piece of an execution's input changed. */
function withPieces(key: Key, change: (piece: InputPiece, index: number) => object) {
  let index = -1;
  const events = sound.events.map((each) => {
    if (each.streamId !== idOf(key) || each.event.type !== 'InputSent') return each;
    index += 1;
    const data = { ...each.event.data, ...change(each.event.data, index) };
    return { ...each, event: { ...each.event, data } };
  });
  return { events };
}
/** The history without one recorded piece of input. The events after it move up by one place. */
function withoutPiece(key: Key, wanted: number): Partial<History> {
  const own = sound.events.filter(
    ({ streamId, event }) => streamId === idOf(key) && event.type === 'InputSent',
  );
  const gone = own[wanted];
  if (!gone) throw new Error('There is no such piece.');
  const events = sound.events
    .filter((each) => each !== gone)
    .map((each, at) => ({
      ...each,
      position: at + 1,
      version:
        each.streamId === gone.streamId && each.version > gone.version
          ? each.version - 1
          : each.version,
    }));
  return { events };
}
function withText(key: string, change: (text: string) => string): Partial<History> {
  const id = idOf(key);
  const outputs = sound.outputs.map((each) =>
    each.executionId === id ? { ...each, text: change(each.text) } : each,
  );
  const calls = sound.calls.map((call) =>
    call.answer?.id === id
      ? { ...call, answer: { ...call.answer, stdout: change(call.answer.stdout) } }
      : call,
  );
  return { outputs, calls, watches: [] };
}
/** The history with another outcome of the first call that sent input to an execution. */
function withCall(key: Key, change: Partial<InputRecord>): Partial<History> {
  const first = sound.inputs.findIndex(({ executionId }) => executionId === idOf(key));
  const inputs = sound.inputs.map((each, at) => (at === first ? { ...each, ...change } : each));
  return { inputs };
}

describe.each(READERS)('the record of the input of %s', (key) => {
  it('is reported when acknowledged input is missing at its end', () => {
    expect(found(withoutPiece(key, 2))).toEqual([
      `lost: the input of ${key} at ${wholeOf(key)} was acknowledged, and is not recorded`,
    ]);
    const all = found(withoutPiece(key, 1));
    expect(all).toContain(`lost: the input of ${key} has a hole from 30 to ${wholeOf(key)}`);
  });

  it('is reported when it has a part of the input twice', () => {
    const events = withPieces(key, ({ offset }, index) =>
      index === 1 ? { offset: 10 } : { offset },
    );
    expect(found(events)).toContain(`doubled: the input of ${key} is recorded twice from 10 on`);
  });

  it('is reported when it is not what was sent, or has an end that nobody sent', () => {
    const other = withPieces(key, ({ text }, index) =>
      index === 0 && text !== undefined ? { text: text.replace('0', '7') } : {},
    );
    expect(found(other)).toEqual([
      `lost: the input of ${key} is recorded at 0 otherwise than it was sent`,
    ]);
    expect(found(withPieces(key, (_, index) => ({ close: index > 0 })))).toEqual([
      `lost: the input of ${key} is recorded as ended at ${wholeOf(key)}, it was not`,
    ]);
  });

  it('is reported when a client got a wrong offset, or was refused though the code had not ended', () => {
    expect(found(withCall(key, { answer: { offset: 0, nextOffset: 29 } }))).toEqual([
      `lost: the input of ${key} at 0 was answered with 0 and 29`,
    ]);
    for (const refusal of ['INPUT_CLOSED', 'INPUT_OUT_OF_ORDER'])
      expect(found(withCall(key, { answer: null, refusal }))).toEqual([
        `lost: the input of ${key} at 0 was refused with ${refusal}`,
      ]);
    const late = { answer: null, refusal: 'INPUT_CLOSED', endedAt: Number.MAX_SAFE_INTEGER };
    expect(found(withCall(key, late))).toEqual([]);
  });
});

describe.each(READERS)('what %s printed', (key) => {
  const line = (number: number) => `<${key} ${number} ä>\n`;

  it('is reported when a line is lost', () => {
    for (const number of [0, 5, 11])
      expect(found(withText(key, (text) => text.replace(line(number), '')))).toEqual([
        `lost: ${key} has read otherwise than was sent`,
      ]);
  });

  it('is reported when a line is doubled', () => {
    expect(found(withText(key, (text) => text.replace(line(5), line(5) + line(5))))).toEqual([
      `doubled: ${key} has read a line twice`,
    ]);
  });

  it('is reported when a line was sent to another execution', () => {
    expect(found(withText(key, (text) => text.replace(line(5), '<bob-1 5 ä>\n')))).toEqual([
      `lost: ${key} has read otherwise than was sent`,
    ]);
    expect(found(withText('ann-server-fetch', (text) => text + line(5)))).toContain(
      `lost: ann-server-fetch has printed another's input: ${line(5).trimEnd()}`,
    );
  });

  it('is reported when no such input is recorded', () => {
    const events = sound.events.filter(
      ({ streamId, event }) => streamId !== idOf(key) || event.type !== 'InputSent',
    );
    expect(found({ events, inputs: [] })).toContain(
      `lost: ${key} has read input that is not recorded`,
    );
  });
});

describe('input', () => {
  it('is reported when it is recorded as secret for a command, or its secret is kept', () => {
    const secret = withPieces('ann-shell-input', ({ bytes }, index) =>
      index === 0 ? { bytes, text: undefined } : {},
    );
    expect(found(secret)).toEqual([
      'lost: the input of ann-shell-input is recorded at 0 otherwise than it was sent',
    ]);
    expect(found({ keptInputs: ['some-id'] })).toEqual([
      'orphan: secret input of execution some-id is kept',
    ]);
  });

  it('is reported when it is recorded for code that was sent none', () => {
    const id = idOf('ann-2');
    const data = {
      ...{ offset: 0, bytes: 1, close: false, text: 'x' },
      at: '2026-01-31T12:00:00Z',
    };
    const events = sound.events
      .flatMap((each) => {
        if (each.streamId !== id || each.event.type !== 'ExecutionFinished') return [each];
        return [
          { ...each, event: { type: 'InputSent' as const, data } },
          { ...each, version: 3 },
        ];
      })
      .map((each, index) => ({ ...each, position: index + 1 }));
    expect(found({ events })).toEqual(['lost: ann-2 has input, and was sent none']);
  });

  it.each(READERS)('may be read only in part if the execution is interrupted: %s', (key) => {
    const said = key === 'ann-input' ? '\nKeyboardInterrupt\n\n' : '';
    const id = idOf(key);
    const { outputs, calls = [] } = withText(key, (text) => text.replace(/<\S+ 5 .*/s, said));
    const data = { status: 'INTERRUPTED' };
    const interrupted = {
      events: sound.events.map((each) =>
        each.streamId === id && each.event.type === 'ExecutionFinished'
          ? { ...each, event: { ...each.event, data: { ...each.event.data, ...data } } }
          : each,
      ) as History['events'],
      calls: calls.map((call) =>
        call.key === key ? { ...call, operation: 'submit' as const, executionId: id } : call,
      ),
    };
    expect(found({ ...interrupted, ...(outputs && { outputs }), watches: [] })).toEqual([]);
  });
});
