/**
 * Measures what a change costs or gains: compares this folder with another commit or folder, in turns. In each round
 * both sides get a new gateway, because two gateways of the same program differ, too: what V8 compiles depends on the
 * first calls. It needs root, because it reads the CPU times of agents and kernels, which run as other users.
 *
 * `npm run bench -- pair --base COMMIT|FOLDER [--measured COMMIT|FOLDER] [--guarded] [--rounds N] [--first N] [--calls N] [--floods N] [--files N] [--followed N] [--crowds N] [--cell NAME]`
 *
 * With `--guarded`, the measured side has quotas of all kinds, and is called with the token of a user.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildCommit, buildFolder } from '../../testkit/formerRelease.ts';
import type { Bench, Comparison } from '../suite/bench.ts';
import { type Cell, LONG, ONE_PLUS_ONE, PANDAS } from '../throughput/cells.ts';
import { type Contender, type Figures, type Plan, runRound } from './runRound.ts';

interface Side extends Contender {
  readonly name: string;
  readonly remove?: () => void;
}

const CELLS: Readonly<Record<string, Cell>> = { small: ONE_PLUS_ONE, long: LONG, pandas: PANDAS };

export const pairBench: Bench = {
  name: 'pair',
  about:
    'this folder beside another commit or folder: calls, output, files, followers, a crowd, and CPU times',
  isInBareRun: false,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        base: { type: 'string' },
        measured: { type: 'string', default: '.' },
        guarded: { type: 'boolean', default: false },
        rounds: { type: 'string', default: isShort ? '2' : '8' },
        first: { type: 'string', default: isShort ? '50' : '1000' },
        calls: { type: 'string', default: isShort ? '20' : '500' },
        floods: { type: 'string', default: isShort ? '1' : '4' },
        files: { type: 'string', default: isShort ? '1' : '4' },
        followed: { type: 'string', default: isShort ? '1' : '2' },
        crowds: { type: 'string', default: isShort ? '1' : '3' },
        cell: { type: 'string', default: 'small' },
      },
    });
    const cell = CELLS[values.cell];
    if (values.base === undefined || cell === undefined) throw new Error(USAGE);
    const plan: Plan = {
      first: Number(values.first),
      calls: Number(values.calls),
      floods: Number(values.floods),
      files: Number(values.files),
      followed: Number(values.followed),
      crowds: Number(values.crowds),
      cell,
    };
    const sides: Side[] = [];
    try {
      sides.push(await build(values.base));
      sides.push({ ...(await build(values.measured)), isGuarded: values.guarded });
      const rounds: (readonly Figures[])[] = [];
      for (let round = 1; round <= Number(values.rounds); round += 1) {
        rounds.push(await runRound(sides, plan, round % 2 === 0));
        say(`round ${round} of ${values.rounds}`);
      }
      return { comparisons: compare(rounds, sides), figures: [] };
    } finally {
      for (const { remove } of sides) remove?.();
    }
  },
};

const USAGE = `Say what this folder is to be compared with: --base COMMIT or --base FOLDER. Cells: ${Object.keys(CELLS).join(', ')}.`;

/** If `name` is a folder, builds the program there. Otherwise builds the commit of this name. */
async function build(name: string): Promise<Side> {
  const isFolder = existsSync(name);
  return { name, ...(await (isFolder ? buildFolder(resolve(name)) : buildCommit(name))) };
}

/** Compares each figure, with the values of all rounds. */
function compare(rounds: readonly (readonly Figures[])[], sides: readonly Side[]): Comparison[] {
  const figures = [...(rounds[0]?.[0] ?? [])];
  return figures.map(([name, { unit, values }]) => {
    const [base, measured] = sides.map((side, at) => ({
      name: side.name,
      values: rounds.flatMap((round) => round[at]?.get(name)?.values ?? []),
      perProcess: values.length,
    }));
    if (!base || !measured) throw new Error('There are two sides.');
    return { name, unit, base, measured };
  });
}
