/** One run: creates the world, lets users and the nemesis act, heals it, waits for rest, and returns the history. */

import { bringToRest } from './bringToRest.ts';
import { createAccess } from './clients/access.ts';
import { createUser, type User } from './clients/createUser.ts';
import { createOperator } from './clients/operator.ts';
import { runNemesis } from './faults/runNemesis.ts';
import type {
  CallRecord,
  ExitRecord,
  FaultRecord,
  FileRecord,
  History,
  StreamRecord,
  TokenTry,
  WatchRecord,
} from './history.ts';
import type { InputRecord } from './inputRecord.ts';
import type { Options } from './options.ts';
import { createRandom } from './random.ts';
import { stopwatch } from './stopwatch.ts';
import { createWorld, type World } from './world/createWorld.ts';
import { readEvents, readKeptInputs, readOutputs, readTransactions } from './world/readStore.ts';

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
    const users = await createUsers(deps, world, logs);
    const mishaps = await strike(deps, world, users, logs);
    const rest = await bringToRest(world, users, { signal, say });
    const events = await readEvents(world.postgres.client);
    const transactions = await readTransactions(world.postgres.client);
    const ids = events.flatMap(({ streamKind, streamId, version }) =>
      streamKind === 'execution' && version === 1 ? [streamId] : [],
    );
    const outputs = await readOutputs(world.postgres.client, ids);
    const keptInputs = await readKeptInputs(world.postgres.client);
    const { quotas } = world;
    const found = { events, transactions, outputs, keptInputs };
    const history = { ...logs, quotas, ...found, rest, mishaps };
    await deps.onLogs(history, world.root);
    return history;
  } finally {
    say('cleaning up');
    const took = stopwatch();
    await world.close();
    say(`cleaned up in ${took()}`);
  }
}

async function createUsers(
  { options, signal }: RunDeps,
  world: World,
  logs: Logs,
): Promise<User[]> {
  const random = createRandom(options.seed).fork();
  const urls = world.gateways.map(({ url }) => url);
  const credentials = { token: world.token };
  const operator = createOperator({ urls, credentials, random: random.fork(), signal });
  const names = Array.from({ length: options.users }, (_, index) => `user${index}`);
  const accesses = await Promise.all(
    names.map((name, index) => createAccess(operator, name, index)),
  );
  return accesses.map((access, index) =>
    createUser({
      name: names[index] ?? '',
      urls,
      credentials: access,
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

async function strike(
  { options, signal, say }: RunDeps,
  world: World,
  users: readonly User[],
  logs: Logs,
): Promise<string[]> {
  const isLong = options.minutes >= LONG_RUN_MINUTES;
  const scene = {
    ...{ world, users, isLong, signal, random: createRandom(options.seed) },
    recordTry: (each: TokenTry) => logs.tokenTries.push(each),
  };
  const time = AbortSignal.timeout(options.minutes * MS_A_MINUTE);
  const took = stopwatch();
  const mishaps = await runNemesis(
    {
      scene,
      record: (fault) => logs.faults.push(fault),
      say: (line) => say(`${took().padStart(TIME_COLUMNS)}  ${line}`),
    },
    AbortSignal.any([time, signal]),
  );
  signal.throwIfAborted();
  return mishaps;
}
