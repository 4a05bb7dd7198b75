/** All that a user does. Each theme has a file of its own. */
import type { CellKind } from '../history.ts';
import { type Act, type Acting, submitAndFollow, submitAndInterrupt } from './acting.ts';
import { commandActs } from './commandActs.ts';
import { contextActs } from './contextActs.ts';
import { inputActs } from './inputActs.ts';

const FILES_BESIDE_CODE = 4;
const MIN_BATCH = 3;
const MAX_BATCH = 6;
/** This share of a batch's cells is sent twice at the same time. Both calls must get the same execution. */
const TWICE_SHARE = 0.4;

export const ACTS: readonly Act[] = [
  { weight: 40, act: ({ name, calls, cell }) => calls.execute(name, cell('counter')) },
  { weight: 20, act: ({ name, files }) => files.act(name) },
  { weight: 10, act: filesBesideCode },
  { weight: 16, act: (user) => runBatch(user, () => 'batch') },
  { weight: 14, act: (user) => submitAndFollow(user, 'stream') },
  { weight: 5, act: (user) => submitAndFollow(user, 'loud') },
  { weight: 8, act: (user) => submitAndInterrupt(user, 'endless') },
  { weight: 5, act: ({ name, calls, cell }) => calls.execute(name, cell('runaway')) },
  { weight: 1, act: ({ name, calls, cell }) => calls.execute(name, cell('deaf')) },
  { weight: 4, act: ({ name, calls }) => calls.release(name) },
  { weight: 4, act: ({ name, calls }) => calls.restartKernel(name) },
  {
    weight: 6,
    act: (user) => runBatch(user, () => (user.random.next() < 0.5 ? 'batch' : 'shell')),
  },
  ...commandActs,
  ...contextActs,
  ...inputActs,
];

/** Runs a cell that prints for seconds, and changes and reads files meanwhile. */
async function filesBesideCode({ name, calls, files, cell }: Acting): Promise<void> {
  const changeFiles = async () => {
    for (let count = 0; count < FILES_BESIDE_CODE; count += 1) await files.act(name);
  };
  await Promise.all([calls.execute(name, cell('stream')), changeFiles()]);
}

/** Submits several at once, some twice. Then repeats the same keys, which must return the same executions. */
async function runBatch(
  { name, calls, random, cell }: Acting,
  pickKind: () => CellKind,
): Promise<void> {
  const cells = Array.from({ length: random.between(MIN_BATCH, MAX_BATCH) }, () =>
    cell(pickKind()),
  );
  const sent = cells.flatMap((each) => (random.next() < TWICE_SHARE ? [each, each] : [each]));
  await Promise.all(sent.map((each) => calls.submit(name, each)));
  for (const each of cells) await calls.execute(name, each);
}
