import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { askAtTerminal } from '../../src/cli/forget.ts';

const terminal = () => Object.assign(new PassThrough(), { isTTY: true });

it.each([
  ['input', new PassThrough(), terminal()],
  ['output', terminal(), new PassThrough()],
])('cannot ask if the %s is not a terminal', (_name, input, output) => {
  expect(askAtTerminal(input, output)).toBeNull();
});

it('shows the question, and returns the line that is typed', async () => {
  const [input, output] = [terminal(), terminal()];
  const answer = askAtTerminal(input, output)?.('Who? ');
  input.write('ann\nmore\n');
  expect(await answer).toBe('ann');
  expect(String(output.read())).toContain('Who? ');
});

it('returns an empty line if the terminal ends', async () => {
  const input = terminal();
  const answer = askAtTerminal(input, terminal())?.('Who? ');
  input.end();
  expect(await answer).toBe('');
});
