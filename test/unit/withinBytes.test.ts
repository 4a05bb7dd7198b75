import { expect, it } from 'vitest';
import type { EntityState } from '../../src/domain/entities.ts';
import { bytesInEvents, withinBytes } from '../../src/events/retention/removal.ts';

const execution = (codeBytes: number, inputBytes: number) =>
  ({ codeBytes, inputBytes }) as EntityState;

it('withinBytes takes as many rows of executions as fit, and at least one', () => {
  const rows = [execution(3, 2), execution(5, 0), execution(0, 1)];
  expect(withinBytes(rows, 11, bytesInEvents)).toEqual(rows);
  expect(withinBytes(rows, 10, bytesInEvents)).toEqual(rows.slice(0, 2));
  expect(withinBytes(rows, 9, bytesInEvents)).toEqual(rows.slice(0, 1));
  expect(withinBytes(rows, 1, bytesInEvents)).toEqual(rows.slice(0, 1));
  expect(withinBytes([], 1, bytesInEvents)).toEqual([]);
});

it('withinBytes takes all rows of streams other than executions, since their events are small', () => {
  const rows = [{ closeReason: null }, { closeReason: null }] as unknown as EntityState[];
  expect(withinBytes(rows, 0, bytesInEvents)).toEqual(rows);
});
