import { describe, it } from 'vitest';
import type { RemovalId } from '../../src/domain/ids.ts';
import {
  decideRemoval,
  evolveRemoval,
  type RemovalCommand,
  type RemovalEvent,
} from '../../src/domain/removal.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';

const facts = {
  at: '2026-01-02T03:04:05.678Z',
  removalId: newId<RemovalId>(),
  before: '2025-01-02T03:04:05.678Z',
  streams: 2,
  events: 9,
  outputs: 4,
  isArchived: false,
  digest: 'f'.repeat(64),
};
const record: RemovalCommand = { type: 'RecordPruning', ...facts };
const pruned: RemovalEvent = { type: 'HistoryPruned', data: facts };

const { given } = deciderSpecification({ decide: decideRemoval, evolve: evolveRemoval });

describe('a removal', () => {
  it('given none, when recorded: it says what was deleted', () => {
    given().when(record).then(pruned);
  });

  it('given one, when recorded again: it is refused', () => {
    given(pruned)
      .when(record)
      .thenThrows(/recorded/);
  });
});
