import { expect, it } from 'vitest';
import { USAGE } from '../../src/cli/run.ts';
import { DOORS } from '../../src/domain/token.ts';

it('the usage text names each door that a token can be for', () => {
  expect(USAGE).toContain(`[--door ${DOORS.join('|')}]`);
});
