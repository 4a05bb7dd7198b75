/**
 * One round: starts a new gateway of each side, and measures first calls, later calls, large outputs, files, followers
 * and several users at once, in turns.
 */
import { QUOTA_KINDS, QUOTA_SCOPES } from '../../src/domain/quota.ts';
import type { BuiltRelease } from '../../testkit/formerRelease.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { containerOf } from '../../testkit/interpreter.ts';
import { runRound as runFanOut } from '../fan-out/runRound.ts';
import { createHttpTransfers } from '../files/transfers.ts';
import { CASES } from '../stream/cases.ts';
import { store } from '../stream/receivers.ts';
import { takeTurns } from '../suite/takeTurns.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { median } from '../support/percentile.ts';
import { type Cell, SMALL } from '../throughput/cells.ts';
import { crowdOf } from '../throughput/crowds.ts';
import { type CpuTimes, PARTS, readCpuTimes } from './cpuTimes.ts';

export interface Plan {
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
export type Figures = ReadonlyMap<
  string,
  { readonly unit: string; readonly values: readonly number[] }
>;

export interface Contender extends BuiltRelease {
  /** It has quotas, and its caller the token of a user. Otherwise it has none, and is called with AUTH_TOKEN. */
  readonly isGuarded?: boolean;
}

interface Started {
  readonly gateway: TestGateway;
  readonly call: () => Promise<number>;
  readonly cpuTimes: () => CpuTimes;
  readonly figures: Map<string, { readonly unit: string; readonly values: readonly number[] }>;
}

const USER = 'bench';
/** A limit. */
const FAR_AWAY = 1_000_000;
/** The kinds of output that need no preparation: printed text. Pictures must be drawn first. */
const FLOODS = CASES.filter(({ code }) => code.includes('print'));
/** Room for the old and the new file of a transfer, in half of the disk. */
const DISK_MB = 1_024;
const FILE_BYTES = 100_000_000;
const FOLLOWERS = 100;
const CROWD = 4;
const CROWD_S = 1.5;

/**
 * @param isReversed whether the last release starts first and has the first turn
 * @returns the figures of each release, in the order of `releases`
 */
export async function runRound(
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

/** The CPU times are those of the first worker only, so they say nothing about a crowd. */
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

/** Quotas that nobody reaches. */
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
