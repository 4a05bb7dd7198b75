import { expect, it } from 'vitest';
import { validateOutputRange } from '../../src/service/answer/renderedText.ts';

it.each([{ after: -1 }, { after: 2 ** 31 }, { after: 1e300 }, { first: -1 }, { first: 2 ** 31 }])(
  '%j is refused before the database is asked',
  (range) => {
    expect(() => validateOutputRange(range)).toThrow(
      expect.objectContaining({
        code: 'BAD_USER_INPUT',
        details: expect.objectContaining({ field: Object.keys(range)[0] }),
      }),
    );
  },
);

it('Without a range, all outputs are selected', () => {
  expect(validateOutputRange({})).toEqual({ after: 0, limit: null });
  expect(validateOutputRange({ after: 2 ** 31 - 1, first: 0 })).toEqual({
    after: 2 ** 31 - 1,
    limit: 0,
  });
});
