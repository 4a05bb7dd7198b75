/** `npm run bench -- e2b` calls the door as its clients do. No figure is judged: figures depend on the machine. */
import { expect, it } from 'vitest';
import { runBench } from '../support/runBench.ts';

const LIMIT_MS = 300_000;

it(
  'compares running code, creating sandboxes and moving files with the other wires of the gateway',
  async () => {
    const few = ['--samples', '5', '--warm-up', '2', '--creations', '2', '--transfers', '2'];
    const { code, printed, report } = await runBench('e2b', ...few, '--mb', '10');
    expect(code, printed).toBe(0);
    const [bench] = report.benches;
    expect(
      bench?.comparisons.map(({ name, measured, base }) => [name, measured.n, base.n]),
    ).toEqual([
      ['runCode to GraphQL', 5, 5],
      ['Sandbox.create to openSession', 2, 2],
      ['10 MB up', 2, 2],
      ['10 MB down', 2, 2],
    ]);
    expect(bench?.figures.map(({ target }) => target)).toEqual([{ atMost: 1.5 }, { atMost: 30 }]);
  },
  LIMIT_MS,
);
