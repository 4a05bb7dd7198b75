/** `npm run bench -- doors` calls each door as its clients do. No figure is judged: figures depend on the machine. */
import { expect, it } from 'vitest';
import { runBench } from '../support/runBench.ts';

/** The first run spends most of this time on building the image of Debian's jupyter-server. */
const LIMIT_MS = 600_000;

it(
  'compares each door with GraphQL, and the door for Jupyter also with a Jupyter server',
  async () => {
    const few = ['--samples', '10', '--warm-up', '2'];
    const { code, printed, report } = await runBench('doors', ...few);
    expect(code, printed).toBe(0);
    const [bench] = report.benches;
    expect(bench?.comparisons.map(({ name }) => name)).toEqual([
      "the predecessor's door to GraphQL",
      'the door for MCP to GraphQL',
      'the door for Jupyter to GraphQL',
      "the door for Jupyter to Debian's jupyter-server",
    ]);
    expect(bench?.comparisons.map(({ measured, base }) => [measured.n, base.n])).toEqual(
      Array(4).fill([10, 10]),
    );
    expect(bench?.figures.map(({ target }) => target)).toEqual(Array(3).fill({ atMost: 1 }));
  },
  LIMIT_MS,
);
