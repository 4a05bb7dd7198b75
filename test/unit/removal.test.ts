import { describe, expect, it } from 'vitest';
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

const forgottenFacts = {
  at: facts.at,
  removalId: facts.removalId,
  scope: 'USER',
  pseudonym: 'forgotten-0123456789abcdef',
  streams: 2,
  events: 9,
  outputs: 4,
  digest: facts.digest,
} as const;
const forgotten: RemovalEvent = { type: 'DataForgotten', data: forgottenFacts };

const { given } = deciderSpecification({ decide: decideRemoval, evolve: evolveRemoval });

describe('a removal', () => {
  it('given none, when recorded: it says what was deleted', () => {
    given().when(record).then(pruned);
  });

  it('given none, when forgetting is recorded: it says under which name the rest stays', () => {
    given()
      .when({ type: 'RecordForgetting', ...forgottenFacts })
      .then(forgotten);
    const { state } = given(forgotten);
    expect(state).toMatchObject({ reason: 'forgotten', before: null, isArchived: false });
    expect(state?.pseudonym).toBe(forgottenFacts.pseudonym);
  });

  it('given one, when recorded again: it is refused', () => {
    given(pruned)
      .when(record)
      .thenThrows(/recorded/);
  });
});
