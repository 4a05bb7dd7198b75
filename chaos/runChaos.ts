/** One run: creates the world, lets users and the nemesis act, heals it, waits for rest, and returns the history. */

import { bringToRest } from './bringToRest.ts';
import { type Client, createUser, type User } from './clients/createUser.ts';
import { createJupyterUser } from './clients/jupyter.ts';
import { createMcpUser } from './clients/mcp.ts';
import {
  changeQuotas,
  createAccess,
  createDoorAccess,
  createOperator,
  ENVIRONMENTS,
  environmentOf,
  type Operator,
  userName,
} from './clients/operator.ts';
import { runNemesis } from './faults/runNemesis.ts';
import {
  type CallRecord,
  type ExitRecord,
  type FaultRecord,
  type FileRecord,
  type History,
  type InputRecord,
  type StreamRecord,
  stopwatch,
  type TokenTry,
  type WatchRecord,
  type Wire,
} from './history.ts';
import type { Options } from './options.ts';
import { createRandom, type Random } from './random.ts';
import { createWorld, type World } from './world/createWorld.ts';
import { quotaChoices } from './world/quotas.ts';
import { readEvents, readKeptInputs, readOutputs, readTransactions } from './world/readState.ts';

const MS_A_MINUTE = 60_000;
const LONG_RUN_MINUTES = 10;
/** The width of a time in the list of faults. */
const TIME_COLUMNS = 9;

export interface RunDeps {
  readonly options: Options;
  readonly workerImage: string;
  /** Ends the run early and cleans up. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Called with the history and the folder that has the gateways' logs, before the folder is removed. */
  readonly onLogs: (history: History, root: string) => Promise<void>;
}

interface Logs {
  readonly calls: CallRecord[];
  readonly files: FileRecord[];
  readonly inputs: InputRecord[];
  readonly streams: StreamRecord[];
  readonly watches: WatchRecord[];
  readonly faults: FaultRecord[];
  readonly tokenTries: TokenTry[];
  readonly exits: ExitRecord[];
}

/** Resolves when all is cleaned up. @throws Error if the run itself fails; a violation is not an error here */
export async function runChaos(deps: RunDeps): Promise<History> {
  const { options, signal, say } = deps;
  const logs: Logs = {
    ...{ calls: [], files: [], inputs: [], streams: [], watches: [] },
    ...{ faults: [], tokenTries: [], exits: [] },
  };
  const world = await createWorld({
    ...deps,
    ...options,
    onCrash: (gateway, how) => logs.exits.push({ gateway, at: Date.now(), how }),
  });
  try {
    signal.throwIfAborted();
    const random = createRandom(options.seed).fork();
    const urls = world.gateways.map(({ url }) => url);
    const credentials = { token: world.token };
    const operator = createOperator({ urls, credentials, random: random.fork(), signal });
    const whom = { urls, operator, random };
    const took = stopwatch();
    for (const environment of ENVIRONMENTS) await operator.createEnvironment(environment);
    say(`the environments are built after ${took()}`);
    const users = await createUsers(deps, whom, logs);
    const others = await createDoorUsers(deps, whom, logs);
    const mishaps = await strike(deps, { world, users, operator, random }, logs);
    const rest = await bringToRest(world, [...users, ...others], { operator, signal, say });
    const events = await readEvents(world.postgres.client);
    const transactions = await readTransactions(world.postgres.client);
    const ids = events.flatMap(({ streamKind, streamId, version }) =>
      streamKind === 'execution' && version === 1 ? [streamId] : [],
    );
    const outputs = await readOutputs(world.postgres.client, ids);
    const keptInputs = await readKeptInputs(world.postgres.client);
    const { quotas, gatewayIds } = world;
    const found = { events, transactions, outputs, keptInputs };
    const history = { ...logs, quotas, gatewayIds, ...found, rest, mishaps };
    await deps.onLogs(history, world.root);
    return history;
  } finally {
    say('cleaning up');
    const took = stopwatch();
    await world.close();
    say(`cleaned up in ${took()}`);
  }
}

/** The gateways that users call, and the operator who gives them their tokens. */
interface Whom {
  readonly urls: readonly string[];
  readonly operator: Operator;
  readonly random: Random;
}

async function createUsers(
  { options, signal }: RunDeps,
  { urls, operator, random }: Whom,
  logs: Logs,
): Promise<User[]> {
  const names = Array.from({ length: options.users }, (_, index) => userName(index));
  const accesses = await Promise.all(
    names.map((name, index) => createAccess(operator, name, index)),
  );
  return accesses.map((access, index) =>
    createUser({
      name: names[index] ?? '',
      urls,
      credentials: access,
      environment: environmentOf(index),
      random: random.fork(),
      signal,
      record: (call) => logs.calls.push(call),
      recordFile: (file) => logs.files.push(file),
      recordInput: (input) => logs.inputs.push(input),
      recordStream: (stream) => logs.streams.push(stream),
      recordWatch: (watch) => logs.watches.push(watch),
    }),
  );
}

/** One user of each door. Faults hit these users only through their workers, or together with all other users. */
async function createDoorUsers(
  { signal }: RunDeps,
  { urls, operator, random }: Whom,
  logs: Logs,
): Promise<Client[]> {
  const record = (call: CallRecord) => logs.calls.push(call);
  const deps = async (name: Wire) => {
    const credentials = await createDoorAccess(operator, name);
    return { name, urls, credentials, random: random.fork(), signal, record };
  };
  return [createMcpUser(await deps('mcp')), createJupyterUser(await deps('jupyter'))];
}

interface Struck extends Pick<Whom, 'operator' | 'random'> {
  readonly world: World;
  readonly users: readonly User[];
}

async function strike(
  { options, signal, say }: RunDeps,
  { world, users, operator, random }: Struck,
  logs: Logs,
): Promise<string[]> {
  const isLong = options.minutes >= LONG_RUN_MINUTES;
  const scene = {
    ...{ world, users, isLong, signal, random: createRandom(options.seed) },
    recordTry: (each: TokenTry) => logs.tokenTries.push(each),
  };
  const time = AbortSignal.timeout(options.minutes * MS_A_MINUTE);
  const took = stopwatch();
  const end = AbortSignal.any([time, signal]);
  const quotas = quotaChoices(users.length, world.quotas);
  const [mishaps, unchanged] = await Promise.all([
    runNemesis(
      {
        scene,
        record: (fault) => logs.faults.push(fault),
        say: (line) => say(`${took().padStart(TIME_COLUMNS)}  ${line}`),
      },
      end,
    ),
    changeQuotas({ operator, quotas, random: random.fork() }, end),
  ]);
  signal.throwIfAborted();
  return [...mishaps, ...unchanged];
}
