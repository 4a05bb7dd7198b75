import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createFollowedOutputs } from '../../src/events/outputs/followedOutputs.ts';
import { prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { newId } from '../../src/process/newId.ts';

const PAGE = { limit: 500, maxBytes: 1024 * 1024 };
const at = new Date(0);

/** Prints of an execution with these numbers. */
const prints = (executionId: ExecutionId, seqs: readonly number[], text = 'a'): OutputItem[] =>
  seqs.map((seq) => ({ executionId, seq, at, output: { kind: 'stream', name: 'stdout', text } }));
const finish = (executionId: ExecutionId, seq: number): OutputItem => {
  return { executionId, seq, at, output: { kind: 'finish' } };
};
const commitOf = (outputs: readonly OutputItem[]) => prepareCommit({ streams: [], outputs }, newId);

it('gives what was stored since the execution was first asked for', () => {
  const followed = createFollowedOutputs();
  const id = newId<ExecutionId>();
  followed.stored(commitOf(prints(id, [1])));
  expect(followed.after(id, 0, PAGE)).toBeNull();
  followed.stored(commitOf(prints(id, [2, 3])));
  expect(followed.after(id, 0, PAGE)).toBeNull();
  expect(followed.after(id, 1, PAGE)).toEqual({ items: prints(id, [2, 3]), isEnd: false });
  followed.stored(commitOf([...prints(id, [4]), finish(id, 5)]));
  const rest = [...prints(id, [3, 4]), finish(id, 5)];
  expect(followed.after(id, 2, PAGE)).toEqual({ items: rest, isEnd: true });
});

it('says once after each commit that there is nothing more; then somebody has to look', () => {
  const followed = createFollowedOutputs();
  const id = newId<ExecutionId>();
  expect(followed.after(id, 0, PAGE)).toBeNull();
  followed.stored(commitOf(prints(id, [1])));
  expect(followed.after(id, 1, PAGE)).toEqual({ items: [], isEnd: false });
  expect(followed.after(id, 1, PAGE)).toBeNull();
  followed.stored(commitOf([finish(id, 2)]));
  expect(followed.after(id, 2, PAGE)).toEqual({ items: [], isEnd: true });
  expect(followed.after(id, 3, PAGE)).toBeNull();
});

it('never has a hole: what another gateway stored in between is read', () => {
  const followed = createFollowedOutputs();
  const id = newId<ExecutionId>();
  followed.after(id, 0, PAGE);
  followed.stored(commitOf(prints(id, [1, 2])));
  followed.stored(commitOf(prints(id, [5])));
  expect(followed.after(id, 0, PAGE)).toBeNull();
  expect(followed.after(id, 2, PAGE)).toBeNull();
  expect(followed.after(id, 4, PAGE)?.items).toEqual(prints(id, [5]));
});

it('gives a page at a time, of one item at least', () => {
  const followed = createFollowedOutputs();
  const id = newId<ExecutionId>();
  followed.after(id, 0, PAGE);
  followed.stored(commitOf(prints(id, [1, 2, 3])));
  const seqs = (limit: number, maxBytes: number) =>
    followed.after(id, 0, { limit, maxBytes })?.items.map(({ seq }) => seq);
  expect(seqs(2, PAGE.maxBytes)).toEqual([1, 2]);
  expect(seqs(PAGE.limit, 1)).toEqual([1]);
});

it('forgets what nobody asks for, and the oldest when there is much', () => {
  let now = 0;
  const followed = createFollowedOutputs(() => now);
  const [one, other] = [newId<ExecutionId>(), newId<ExecutionId>()];
  for (const id of [one, other]) followed.after(id, 0, PAGE);
  for (const id of [one, other])
    for (let seq = 1; seq <= 10; seq += 1)
      followed.stored(commitOf(prints(id, [seq], 'a'.repeat(300_000))));
  expect(followed.after(one, 0, PAGE)).toBeNull();
  expect(followed.after(one, 9, PAGE)?.items).toHaveLength(1);
  expect(followed.after(other, 0, PAGE)?.items).toHaveLength(4);

  now = 6_000;
  followed.after(other, 10, PAGE);
  followed.stored(commitOf(prints(other, [11])));
  expect(followed.after(one, 9, PAGE)).toBeNull();
  expect(followed.after(other, 10, PAGE)?.items).toHaveLength(1);
});
