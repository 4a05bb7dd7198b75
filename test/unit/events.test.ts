import { describe, expect, it } from 'vitest';
import { STREAM_KINDS } from '../../src/domain/entities.ts';
import { parseStreamId, streamIdOf } from '../../src/domain/events.ts';
import { storableText } from '../../src/domain/text.ts';
import { decodeJson, encodeJson } from '../../src/events/store/preparedCommit.ts';
import { parseNotification } from '../../src/events/wakeUps/wakeUps.ts';
import { fc } from '../support/seeded.ts';

/** Matches what `jsonb` refuses in a JSON text: the escape of U+0000, or of half a surrogate pair. */
const REFUSED = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f]..)/i;

const oddText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('\u0000', '\ud800', '\udc00', '$escaped', '\\u0000', '"', '\\', 'a'), {
      maxLength: 6,
    })
    .map((parts) => parts.join('')),
);
/** Event data: fixed keys, and strings from users. */
const data = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    oddText,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('code', 'detail', '$escaped', '__proto__'), tie('value')),
  ),
})).value;

describe('encodeJson and decodeJson', () => {
  it('give back the original, by way of a text that jsonb accepts', () => {
    fc.assert(
      fc.property(data, (value) => {
        const text = encodeJson(value);
        expect(text).not.toMatch(REFUSED);
        // Parsed from JSON as from the database, since the generator makes odd prototypes.
        expect(decodeJson(JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('leave plain data as it is', () => {
    const plain = { code: 'print("漢字 😀")\n', limits: { cpus: 1 }, nothing: null };
    expect(encodeJson(plain)).toBe(JSON.stringify(plain));
  });

  it('keep an odd string in a place where SQL can still read it', () => {
    expect(JSON.parse(encodeJson({ code: 'a\u0000' }))).toEqual({
      code: { $escaped: '"a\\u0000"' },
    });
  });
});

describe('storableText', () => {
  it('changes only characters that text columns refuse', () => {
    expect(storableText('a\u0000\ud800b\udc00😀漢')).toBe('a\ufffd\ufffdb\ufffd😀漢');
    fc.assert(
      fc.property(oddText, (text) => {
        const stored = storableText(text);
        expect(Buffer.from(stored).toString()).toBe(stored);
        expect(stored).not.toContain('\u0000');
      }),
    );
  });
});

describe('stream ids', () => {
  it('are parsed into the kind and the id that they were made of', () => {
    for (const kind of STREAM_KINDS) {
      expect(parseStreamId(streamIdOf(kind, 'a-b-c'))).toEqual({ kind, id: 'a-b-c' });
    }
  });

  it.each(['', 'worker-', 'pool-1', 'worker', 'workers-1', 'toString-1'])('refuse %j', (name) => {
    expect(() => parseStreamId(name)).toThrow(/no stream called/);
  });
});

describe('parseNotification', () => {
  it('reads the notification of a commit', () => {
    expect(parseNotification('{"g":"gw","p":7,"x":["e1"],"s":["s1"]}')).toEqual({
      gatewayId: 'gw',
      position: 7,
      outputs: { executionIds: ['e1'], sessionIds: ['s1'] },
      isOfWaiting: false,
    });
  });

  it('reads that the number of waiting calls has changed', () => {
    const payload = '{"g":"gw","p":0,"x":[],"s":[],"w":true}';
    expect(parseNotification(payload)).toMatchObject({ position: 0, isOfWaiting: true });
  });

  it('reads that a commit changed too many executions to name them', () => {
    expect(parseNotification('{"g":"gw","p":0,"x":"*","s":"*"}')).toMatchObject({ outputs: 'any' });
  });

  it.each(['', 'null', '[]', '{', '{"g":1,"p":2}', '7'])('ignores %j', (payload) => {
    expect(parseNotification(payload)).toBeNull();
  });
});
