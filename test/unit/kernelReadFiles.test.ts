import { describe, expect, it } from 'vitest';
import { UNSTORABLE } from '../../src/domain/text.ts';
import { readFiles } from '../../src/kernel/frames/parseFrame.ts';
import { fc } from '../support/seeded.ts';

const chart = { path: 'out/chart.png', change: 'created', size: 12_345, modified_at: 1_000 };
const entry = {
  path: 'out/chart.png',
  change: 'CREATED',
  size: 12_345,
  modifiedAt: '1970-01-01T00:00:01.000Z',
};
const told = (changes: unknown, more = {}) => ({ changes, reason: null, shared: false, ...more });
const many = (count: number, pathChars: number) =>
  Array.from({ length: count }, (_, i) => ({ ...chart, path: `${i}`.padEnd(pathChars, 'x') }));

describe('what a reply says about changed files', () => {
  it('is null if it says nothing', () => {
    expect(readFiles(undefined)).toBeNull();
    expect(readFiles(null)).toBeNull();
  });

  it('is a list of changes, in the order of the agent', () => {
    const gone = { path: 'a', change: 'deleted', size: null, modified_at: null };
    expect(readFiles(told([gone, chart]))).toEqual({
      changes: [{ path: 'a', change: 'DELETED', size: null, modifiedAt: null }, entry],
      reason: null,
      shared: false,
    });
    expect(readFiles(told([], { shared: true }))).toEqual(told([], { shared: true }));
  });

  it.each([
    ['too_many_entries', 'too-many-entries'],
    ['kernel_replaced', 'kernel-replaced'],
    ['something else', 'malformed'],
    ['constructor', 'malformed'],
    [undefined, 'malformed'],
  ])('is a reason if it lists no changes: %s', (reason, meaning) => {
    expect(readFiles(told(null, { reason }))).toEqual(told(null, { reason: meaning }));
  });

  it.each([
    ['no object', 7],
    ['an array', []],
    ['a list of texts', told(['a'])],
    ['an entry without a path', told([{ ...chart, path: '' }])],
    ['an entry of an unknown kind', told([{ ...chart, change: 'moved' }])],
    ["an entry whose kind is a name of JavaScript's", told([{ ...chart, change: 'toString' }])],
    ['one entry too many', told(many(1_001, 4))],
  ])('is malformed: %s', (_name, value) => {
    expect(readFiles(value)).toEqual(told(null, { reason: 'malformed' }));
  });

  it('has at most 65,536 bytes', () => {
    expect(readFiles(told(many(1_000, 70)))).toEqual(told(null, { reason: 'too-many-changes' }));
    expect(readFiles(told(many(500, 30)))?.changes).toHaveLength(500);
  });

  it.each([
    ['a size below 0', { size: -1 }, { size: null }],
    ['a size that is not a whole number', { size: 0.5 }, { size: null }],
    ['a time after the year 9999', { modified_at: 8.64e15 }, { modifiedAt: null }],
    ['a time before 1970', { modified_at: -1 }, { modifiedAt: null }],
    ['text that PostgreSQL refuses', { path: 'a\u0000\ud800' }, { path: 'a\ufffd\ufffd' }],
  ])('leaves out what cannot be recorded: %s', (_name, sent, kept) => {
    expect(readFiles(told([{ ...chart, ...sent }]))?.changes).toEqual([{ ...entry, ...kept }]);
  });

  it('is something that can be recorded, whatever arrives', () => {
    const odd = fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.constantFrom(null, true));
    const change = fc.record(
      { path: odd, change: fc.oneof(odd, fc.constant('created')), size: odd, modified_at: odd },
      { requiredKeys: ['path'] },
    );
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ changes: fc.array(change), reason: odd, shared: odd }),
    );
    fc.assert(
      fc.property(value, (sent) => {
        const files = readFiles(sent);
        if (files === null) return;
        expect(files.changes === null).toBe(files.reason !== null);
        for (const { path, modifiedAt } of files.changes ?? []) {
          expect(UNSTORABLE.test(path)).toBe(false);
          expect(modifiedAt === null || modifiedAt.length === 24).toBe(true);
        }
      }),
    );
  });
});
