/** The columns of a new row: a column that gets its value by default is not sent. */
import { expect, it } from 'vitest';
import { fold } from '../../src/domain/entities.ts';
import type { ExecutionEvent } from '../../src/domain/execution.ts';
import { newRowJson, rowJson } from '../../src/events/projections/projections.ts';
import { executionRequested } from '../../testkit/events.ts';

const NEW_COLUMNS = [
  'language',
  'context_id',
  'exit_code',
  'signal',
  'keeps_alive',
  'input_bytes',
  'options',
];

function stateOf(...given: Parameters<typeof executionRequested>) {
  return fold('execution', null, executionRequested(...given).events as ExecutionEvent[]);
}

it('a new row of plain code names no column of commands and contexts, and none that is null', () => {
  const row = JSON.parse(newRowJson('execution', stateOf(), 1));
  for (const column of NEW_COLUMNS) expect(row).not.toHaveProperty(column);
  expect(Object.values(row)).not.toContain(null);
  expect(row).toMatchObject({ requested_position: 1, version: 1, status: 'QUEUED' });
});

it('a new row of a command names what differs from the default', () => {
  const row = JSON.parse(newRowJson('execution', stateOf({ language: 'BASH', pty: SIZE }), 1));
  expect(row).toMatchObject({ language: 'BASH', keeps_alive: false, options: { pty: SIZE } });
  expect(row).not.toHaveProperty('input_bytes');
});

it('a whole row, as a rebuild compares it, names every column', () => {
  const row = JSON.parse(rowJson('execution', stateOf(), 1));
  for (const column of NEW_COLUMNS) expect(row).toHaveProperty(column);
});

const SIZE = { columns: 80, rows: 24 };
