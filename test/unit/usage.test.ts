import { expect, it, onTestFinished, vi } from 'vitest';
import { run, USAGE } from '../../src/cli/run.ts';
import { DOORS } from '../../src/domain/token.ts';

it('the usage text names each door that a token can be for', () => {
  expect(USAGE).toContain(`[--door ${DOORS.join('|')}]`);
});

it.each(['--help', 'prune --help', 'token create --help', 'mcp --help'])(
  '%s prints the usage text and succeeds',
  async (line) => {
    const print = vi.spyOn(console, 'log').mockReturnValue(undefined);
    onTestFinished(() => print.mockRestore());
    await run(line.split(' '));
    expect(print.mock.calls).toEqual([[USAGE]]);
    expect(process.exitCode).toBeUndefined();
  },
);
