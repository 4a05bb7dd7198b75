import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputItem, OutputPage } from '../../src/domain/output.ts';
import { createRecentOutputs } from '../../src/events/outputs/recentOutputs.ts';
import { prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { newId } from '../../src/process/newId.ts';

const ENOUGH = 1_000_000;

/** The outputs of a run that printed `texts`, its finish included. */
function outputsOf(executionId: ExecutionId, ...texts: string[]): OutputItem[] {
  const at = new Date(0);
  const prints = texts.map((text, index): OutputItem => {
    return { executionId, seq: index + 1, at, output: { kind: 'stream', name: 'stdout', text } };
  });
  return [...prints, { executionId, seq: texts.length + 1, at, output: { kind: 'finish' } }];
}

const commitOf = (outputs: readonly OutputItem[]) => prepareCommit({ streams: [], outputs }, newId);
const allOf = (executionId: ExecutionId): OutputPage => ({ executionId, after: 0, limit: null });

it('gives what one commit held whole, of each of its executions', () => {
  const recent = createRecentOutputs();
  const [one, other] = [newId<ExecutionId>(), newId<ExecutionId>()];
  const [ofOne, ofOther] = [outputsOf(one, 'a', 'b', 'c'), outputsOf(other)];
  recent.stored(commitOf([...ofOne, ...ofOther]));
  expect(recent.pages([allOf(other), allOf(one)], ENOUGH)).toEqual([ofOther, ofOne]);
  const page = { executionId: one, after: 1, limit: 2 };
  expect(recent.pages([page], ENOUGH)).toEqual([ofOne.slice(1, 3)]);
});

it('gives nothing if one of those asked for is not known whole', () => {
  const recent = createRecentOutputs();
  const [whole, part, open] = [newId<ExecutionId>(), newId<ExecutionId>(), newId<ExecutionId>()];
  recent.stored(commitOf(outputsOf(whole, 'a')));
  recent.stored(commitOf(outputsOf(part, 'a', 'b').slice(1)));
  recent.stored(commitOf(outputsOf(open, 'a').slice(0, 1)));
  for (const id of [part, open]) {
    expect(recent.pages([allOf(id)], ENOUGH)).toBeNull();
    expect(recent.pages([allOf(whole), allOf(id)], ENOUGH)).toBeNull();
  }
});

it('gives nothing beyond the bytes that are asked for at once', () => {
  const recent = createRecentOutputs();
  const [one, other] = [newId<ExecutionId>(), newId<ExecutionId>()];
  for (const id of [one, other]) recent.stored(commitOf(outputsOf(id, 'a'.repeat(1_000))));
  expect(recent.pages([allOf(one)], 1_500)).toHaveLength(1);
  expect(recent.pages([allOf(one), allOf(other)], 1_500)).toBeNull();
});

it('cannot be changed by whom it is given to', () => {
  const recent = createRecentOutputs();
  const id = newId<ExecutionId>();
  recent.stored(commitOf(outputsOf(id, 'a')));
  const given = recent.pages([allOf(id)], ENOUGH)?.[0]?.[0]?.output as { text: string };
  given.text = 'changed';
  expect(recent.pages([allOf(id)], ENOUGH)).toEqual([outputsOf(id, 'a')]);
});

it('forgets what is old, what is large, and the oldest when there is much', () => {
  let now = 0;
  const recent = createRecentOutputs(() => now);
  const large = newId<ExecutionId>();
  recent.stored(commitOf(outputsOf(large, 'a'.repeat(70_000))));
  expect(recent.pages([allOf(large)], ENOUGH)).toBeNull();

  const ids = Array.from({ length: 100 }, () => newId<ExecutionId>());
  for (const id of ids) recent.stored(commitOf(outputsOf(id, 'a'.repeat(60_000))));
  const kept = ids.filter((id) => recent.pages([allOf(id)], ENOUGH) !== null);
  expect(kept.length).toBeGreaterThan(50);
  expect(kept.length).toBeLessThan(75);
  expect(kept).toEqual(ids.slice(-kept.length));

  now = 6_000;
  expect(ids.filter((id) => recent.pages([allOf(id)], ENOUGH) !== null)).toEqual([]);
});
