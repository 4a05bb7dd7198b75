/**
 * Measures what a change costs or gains: compares this folder with another commit or folder, in turns. In each round
 * both sides get a new gateway, because two gateways of the same program differ, too: what V8 compiles depends on the
 * first calls. It needs root, because it reads the CPU times of agents and kernels, which run as other users.
 *
 * `npm run bench -- pair --base COMMIT|FOLDER [--measured COMMIT|FOLDER] [--guarded] [--rounds N] [--first N] [--calls N] [--floods N] [--files N] [--followed N] [--crowds N] [--cell NAME]`
 *
 * With `--guarded`, the measured side has quotas of all kinds, and its first and later calls use the token of a user.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { containerProcesses } from '../chaos/world/containerProcesses.ts';
import { hasCode } from '../src/domain/errors.ts';
import { QUOTA_KINDS, QUOTA_SCOPES } from '../src/domain/quota.ts';
import { type BuiltRelease, buildCommit, buildFolder } from '../testkit/formerRelease.ts';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf } from '../testkit/interpreter.ts';
import { runRound as runFanOut } from './fanOut.ts';
import { createHttpTransfers } from './files.ts';
import { CASES, store } from './stream.ts';
import type { Bench, Comparison } from './suite/bench.ts';
import { median } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { httpExecute } from './support/httpExecute.ts';
import { cpuMs } from './support/processes.ts';
import { type Cell, crowdOf, LONG, ONE_PLUS_ONE, PANDAS, SMALL } from './throughput.ts';

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

// One round: starts a new gateway of each side, and measures first calls, later calls, large outputs, files, followers
// and several users at once, in turns.

interface Plan {
  /** The number of calls that a new gateway gets first. */
  readonly first: number;
  /** The number of calls after those. */
  readonly calls: number;
  /** The number of outputs of 10 MB, for each kind of output. */
  readonly floods: number;
  /** The number of files of 100 MB, up and down. */
  readonly files: number;
  /** The number of executions that 100 clients follow. */
  readonly followed: number;
  /** How often four users run code at once, for 1.5 s each time. */
  readonly crowds: number;
  readonly cell: Cell;
}

/** The figures of one gateway, by name. */
type Figures = ReadonlyMap<string, { readonly unit: string; readonly values: readonly number[] }>;

interface Contender extends BuiltRelease {
  /** Whether the gateway has quotas, and its first and later calls use the token of a user instead of AUTH_TOKEN. */
  readonly isGuarded?: boolean;
}

interface Started {
  readonly gateway: TestGateway;
  readonly call: () => Promise<number>;
  readonly cpuTimes: () => CpuTimes;
  readonly figures: Map<string, { readonly unit: string; readonly values: readonly number[] }>;
}

const USER = 'bench';
/** A limit that no call reaches. */
const FAR_AWAY = 1_000_000;
/** The kinds of output that need no preparation: printed text. Pictures must be drawn first. */
const FLOODS = CASES.filter(({ code }) => code.includes('print'));
/** The home, which is half of the disk, has room for the old and the new file of a transfer. */
const DISK_MB = 1_024;
const FILE_BYTES = 100_000_000;
const FOLLOWERS = 100;
const CROWD = 4;
const CROWD_S = 1.5;

/**
 * @param isReversed whether the last release starts first and has the first turn
 * @returns the figures of each release, in the order of `releases`
 */
async function runRound(
  releases: readonly Contender[],
  plan: Plan,
  isReversed: boolean,
): Promise<readonly Figures[]> {
  const started: Started[] = [];
  try {
    for (const release of isReversed ? releases.toReversed() : releases)
      started.push(await start(release, plan.cell));
    const calls = started.map(({ call }) => call);
    await phase(started, `the first ${plan.first} calls`, plan.first, 'ms', calls);
    await phase(started, 'calls when warm', plan.calls, 'ms', calls);
    for (const flood of FLOODS) {
      const rates = started.map(
        ({ gateway }) =>
          () =>
            store(gateway).rate(flood),
      );
      await phase(started, `10 MB ${flood.name}`, plan.floods, 'MB/s', rates);
    }
    const transfers = started.map(({ gateway }) => createHttpTransfers(gateway, USER));
    for (const way of ['up', 'down'] as const) {
      const moves = transfers.map((each) => () => each[way]('file', FILE_BYTES));
      await phase(started, `100 MB ${way}`, plan.files, 'ms', moves);
    }
    const followed = started.map(
      ({ gateway }) =>
        async () =>
          median((await runFanOut(gateway, FOLLOWERS)).lastMs),
    );
    await phase(started, `from a print to the last of ${FOLLOWERS}`, plan.followed, 'ms', followed);
    if (plan.crowds > 0) await measureCrowds(started, plan.crowds);
    const figures = started.map((each) => each.figures);
    return isReversed ? figures.toReversed() : figures;
  } finally {
    await Promise.all(started.map(({ gateway }) => gateway.destroy()));
  }
}

/** Without CPU times, because only those of the first worker are read. */
async function measureCrowds(started: readonly Started[], times: number): Promise<void> {
  const crowds = started.map(({ gateway }) => crowdOf(gateway, CROWD));
  for (const crowd of crowds) await crowd.prepare(SMALL);
  const contenders = crowds.map(({ name, rate }) => ({
    name,
    roundTrip: () => rate(SMALL, CROWD_S),
  }));
  const series = await takeTurns(contenders, { samples: times, warmUp: 0 });
  for (const [at, { figures }] of started.entries())
    figures.set(`${CROWD} users at once`, { unit: '1/s', values: series[at]?.values ?? [] });
}

/** Starts a gateway that makes a worker only when a user calls. */
async function start(release: Contender, cell: Cell): Promise<Started> {
  const { isGuarded = false } = release;
  const settings = {
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: String(1 + CROWD),
    WORKER_DISK_MB: String(DISK_MB),
    // The CPU times of its PostgreSQL server are read, too.
    ...OWN_SERVER,
  };
  const gateway = await startTestGateway({ ...settings, ...(isGuarded && quotas()) }, release);
  try {
    const token = isGuarded ? await userToken(gateway) : gateway.token;
    const execute = httpExecute({ ...gateway, token, userUuid: USER });
    await execute(cell.preparation, '0');
    let runs = 0;
    const call = () => execute(cell.code, cell.result(++runs));
    const cpuTimes = readCpuTimes(gateway, await containerOf(gateway, USER));
    return { gateway, call, cpuTimes, figures: new Map() };
  } catch (error: unknown) {
    await gateway.destroy();
    throw error;
  }
}

/** Quotas of all kinds, with limits that no call reaches. */
function quotas(): Record<string, string> {
  return Object.fromEntries(
    QUOTA_SCOPES.flatMap((scope) =>
      QUOTA_KINDS.map((kind) => [`QUOTA_${scope}_${kind}`, String(FAR_AWAY)]),
    ),
  );
}

async function userToken(gateway: TestGateway): Promise<string> {
  const input = { name: USER, role: 'USER', userUuid: USER };
  const { data, errors } = await gateway.graphql<{ createToken: { secret: string } }>(
    'mutation ($input: CreateTokenInput!) { createToken(input: $input) { secret } }',
    { input },
  );
  if (!data) throw new Error(JSON.stringify(errors));
  return data.createToken.secret;
}

/**
 * Gives each gateway this many turns, and adds their values and the CPU times to its figures. The CPU times include the
 * other gateway's turns, in which this gateway only tidies up.
 */
async function phase(
  started: readonly Started[],
  name: string,
  times: number,
  unit: string,
  turns: readonly (() => Promise<number>)[],
): Promise<void> {
  if (times === 0) return;
  const before = started.map(({ cpuTimes }) => cpuTimes());
  const contenders = turns.map((roundTrip) => ({ name, roundTrip }));
  const series = await takeTurns(contenders, { samples: times, warmUp: 0 });
  for (const [at, { figures, cpuTimes }] of started.entries()) {
    figures.set(name, { unit, values: series[at]?.values ?? [] });
    const after = cpuTimes();
    for (const part of PARTS) {
      const ms = (after[part] - (before[at]?.[part] ?? 0)) / times;
      figures.set(`${name}: CPU of ${part}`, { unit: 'ms', values: [ms] });
    }
  }
}

// How much CPU time each part of an installation has used.

const PARTS = ['the gateway', 'PostgreSQL', 'the agent', 'the kernel', 'all of them'] as const;
/** Milliseconds so far. */
type CpuTimes = Readonly<Record<(typeof PARTS)[number], number>>;

/**
 * @param container the id of the container of the only worker that counts
 * @throws Error if this machine's /proc does not show the agent or the kernel in that container
 */
function readCpuTimes(gateway: TestGateway, container: string): () => CpuTimes {
  const { agent, ofUser: kernel } = containerProcesses(container);
  if (agent === null || kernel.length === 0)
    throw new Error(`No agent or no kernel of container ${container} is to be seen.`);
  const file = join(gateway.dataDir, 'postgres/data/postmaster.pid');
  const postmaster = Number(readFileSync(file, 'utf8').split('\n', 1)[0]);
  const ofPostgres = addUp(() => [postmaster, ...childrenOf(postmaster)]);
  const ofKernel = addUp(() => kernel);
  return () => {
    const times = {
      'the gateway': cpuMs(gateway.pid),
      PostgreSQL: ofPostgres(),
      'the agent': cpuMs(agent),
      'the kernel': ofKernel(),
    };
    return { ...times, 'all of them': Object.values(times).reduce((sum, each) => sum + each, 0) };
  };
}

/** Adds up the CPU times of processes. A process that has ended counts with the last time that was read. */
function addUp(pids: () => readonly number[]): () => number {
  const seen = new Map<number, number>();
  return () => {
    for (const pid of pids()) {
      try {
        seen.set(pid, cpuMs(pid));
      } catch (error: unknown) {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ESRCH')) throw error;
      }
    }
    return [...seen.values()].reduce((sum, each) => sum + each, 0);
  };
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}
