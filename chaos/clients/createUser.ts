/** One user: a client that performs one random action after the other until it is stopped. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CallRecord, CellKind, StreamRecord, WatchRecord } from '../history.ts';
import type { Random } from '../random.ts';
import { type Calls, type CallsDeps, createCalls } from './calls.ts';
import { makeCell } from './cells.ts';
import { createFiles, type Files, type FilesDeps } from './files.ts';
import { followOutput } from './followOutput.ts';
import { watchUser } from './watchUser.ts';

const THINK_MEAN_MS = 150;
/** Code that is to be interrupted runs at most about this long before the interrupt is sent. */
const MAX_RUN_BEFORE_INTERRUPT_MS = 600;
const FILES_BESIDE_CODE = 4;
const MIN_BATCH = 3;
const MAX_BATCH = 6;
/** This share of a batch's cells is sent twice at the same time. Both calls must get the same execution. */
const TWICE_SHARE = 0.4;

export interface UserDeps extends CallsDeps, FilesDeps {
  readonly name: string;
  readonly recordStream: (stream: StreamRecord) => void;
  readonly recordWatch: (watch: WatchRecord) => void;
}

export interface User {
  readonly name: string;
  /** Runs one cell of this kind as the user's next action. Null if the user stopped before that. */
  ask(kind: CellKind): Promise<CallRecord | null>;
  /** Stops the user. Resolves when its last action is done. */
  stop(): Promise<void>;
  /**
   * Runs a last cell that prints what has run in the kernel, and lists the files. The end of that cell also ends the
   * user's watch.
   */
  audit(): Promise<CallRecord>;
  release(): Promise<CallRecord>;
}

interface Asked {
  readonly kind: CellKind;
  readonly resolve: (call: CallRecord | null) => void;
}

type Act = (user: Acting) => Promise<unknown>;

interface Acting {
  readonly name: string;
  readonly calls: Calls;
  readonly files: Files;
  readonly random: Random;
  readonly cell: (kind: CellKind) => ReturnType<typeof makeCell>;
  readonly follow: (executionId: string) => Promise<void>;
}

const ACTS: readonly { readonly weight: number; readonly act: Act }[] = [
  { weight: 40, act: ({ name, calls, cell }) => calls.execute(name, cell('counter')) },
  { weight: 20, act: ({ name, files }) => files.act(name) },
  { weight: 10, act: filesBesideCode },
  { weight: 16, act: runBatch },
  { weight: 14, act: (user) => stream(user, 'stream') },
  { weight: 5, act: (user) => stream(user, 'loud') },
  { weight: 8, act: interruptEndless },
  { weight: 5, act: ({ name, calls, cell }) => calls.execute(name, cell('runaway')) },
  { weight: 1, act: ({ name, calls, cell }) => calls.execute(name, cell('deaf')) },
  { weight: 4, act: ({ name, calls }) => calls.release(name) },
  { weight: 4, act: ({ name, calls }) => calls.restartKernel(name) },
];

/** The user starts acting immediately. */
export function createUser(deps: UserDeps): User {
  const { name, random, signal } = deps;
  const calls = createCalls(deps);
  const files = createFiles(deps);
  const asked: Asked[] = [];
  const stopping = new AbortController();
  let made = 0;
  const cell = (kind: CellKind) => {
    made += 1;
    return makeCell(kind, `${name}-${made}`);
  };
  const follow = async (executionId: string) =>
    deps.recordStream(await followOutput(deps, name, executionId));
  const watch = watchUser(deps, name);
  const acting: Acting = { name, calls, files, random, cell, follow };

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      const next = asked.shift();
      if (next) next.resolve(await calls.execute(name, cell(next.kind)));
      else await random.pickWeighted(ACTS)?.act(acting);
      const pause = { signal: AbortSignal.any([signal, stopping.signal]) };
      await delay(random.waitMs(THINK_MEAN_MS), undefined, pause).catch(() => undefined);
    }
    for (const { resolve } of asked.splice(0)) resolve(null);
  }

  const living = live();
  // `stop` reports a failure.
  living.catch(() => undefined);
  return {
    name,
    ask: (kind) =>
      new Promise((resolve) => {
        if (stopping.signal.aborted) resolve(null);
        else asked.push({ kind, resolve });
      }),
    stop: async () => {
      stopping.abort();
      await living;
    },
    audit: async () => {
      const call = await calls.execute(name, cell('audit'));
      await files.list(name);
      deps.recordWatch(await watch.end(call.answer?.id ?? null));
      return call;
    },
    release: () => calls.release(name),
  };
}

/** Runs a cell that prints for seconds, and changes and reads files meanwhile. */
async function filesBesideCode({ name, calls, files, cell }: Acting): Promise<void> {
  const changeFiles = async () => {
    for (let count = 0; count < FILES_BESIDE_CODE; count += 1) await files.act(name);
  };
  await Promise.all([calls.execute(name, cell('stream')), changeFiles()]);
}

/** Submits several cells at once, some twice. Then repeats the same keys, which must return the same executions. */
async function runBatch({ name, calls, random, cell }: Acting): Promise<void> {
  const cells = Array.from({ length: random.between(MIN_BATCH, MAX_BATCH) }, () => cell('batch'));
  const sent = cells.flatMap((each) => (random.next() < TWICE_SHARE ? [each, each] : [each]));
  await Promise.all(sent.map((each) => calls.submit(name, each)));
  for (const each of cells) await calls.execute(name, each);
}

async function stream({ name, calls, cell, follow }: Acting, kind: CellKind): Promise<void> {
  const { answer } = await calls.submit(name, cell(kind));
  if (answer?.id) await follow(answer.id);
}

/** Submits endless code and interrupts it. An interrupt that arrives before the code has started cancels it. */
async function interruptEndless({ name, calls, random, cell }: Acting): Promise<void> {
  const { answer } = await calls.submit(name, cell('endless'));
  if (!answer?.id) return;
  await delay(random.between(0, MAX_RUN_BEFORE_INTERRUPT_MS));
  await calls.interrupt(name, answer.id);
}
