import { expect, it } from 'vitest';
import { USAGE } from '../../src/cli/run.ts';
import { DOORS } from '../../src/domain/token.ts';

it('the usage text has each door that a token can be for, in lines of at most 120 characters', () => {
  expect(USAGE).toContain(`[--door ${DOORS.join('|')}]`);
  for (const line of USAGE.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
});
