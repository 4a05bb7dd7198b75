import { describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { type Answer, withoutContent } from '../../src/service/answer/answer.ts';

const shown = withoutContent({
  eventData: (event: RecordedEvent) => event.event.data,
  files: ({ files }) => files,
} as Answer);
const dataOf = (type: string, data: object) =>
  shown.eventData({ event: { type, data } } as unknown as RecordedEvent);

describe('what an auditor sees of an event', () => {
  it.each([
    [
      'ExecutionRequested',
      { at: 'now', code: 'secret', codeSha256: 'x' },
      { at: 'now', codeSha256: 'x' },
    ],
    [
      'ExecutionFinished',
      { errorName: 'E', errorValue: 'secret', files: { changes: [{ path: 'secret' }] } },
      { errorName: 'E' },
    ],
    ['FileChangeRequested', { at: 'now', path: 'secret', toPath: 'secret' }, { at: 'now' }],
    ['FileWritten', { path: 'secret', size: 6 }, { size: 6 }],
    ['FileMoved', { path: 'secret', toPath: 'secret', size: 6 }, { size: 6 }],
    ['FileDeleted', { path: 'secret', files: 1 }, { files: 1 }],
    ['InputSent', { bytes: 6, text: 'secret' }, { bytes: 6 }],
    ['InputSent', { bytes: 6, base64: 'c2VjcmV0' }, { bytes: 6 }],
    [
      'SessionOpened',
      { userUuid: 'ann', metadata: { a: 'b' } },
      { userUuid: 'ann', metadata: { a: 'b' } },
    ],
  ])('%s has neither code nor output nor input nor names of files', (type, data, seen) => {
    expect(dataOf(type, data)).toEqual(seen);
  });
});

it('an auditor does not see which files an execution changed', () => {
  expect(shown.files({ files: { changes: [{ path: 'secret' }] } } as never)).toBeNull();
});
