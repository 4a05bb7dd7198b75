/** How large one answer may still become, in bytes and in items of lists. */
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { jsonText } from '../../domain/exactJson.ts';
import type { Execution } from '../../domain/execution.ts';
import { type OutputAdvice, type Piece, tooLarge } from './tooMuch.ts';

/** Ten whole pages: an answer may hold several lists, each as long as its own limit lets it be. */
const MAX_LIST_ITEMS = 10_000;

export interface AnswerBudget {
  /**
   * Counts `value` as part of the answer and gives it back.
   * @throws DomainError BAD_USER_INPUT when the answer would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
  /** An event's data, counted. @throws DomainError BAD_USER_INPUT as {@link charge} */
  eventData(event: RecordedEvent): RecordedEvent['event']['data'];
  /**
   * A page's items, counted.
   * @throws DomainError BAD_USER_INPUT when the pages of the answer have more than 10,000 in all
   */
  listItems<T>(items: readonly T[]): readonly T[];
}

export function createAnswerBudget(maxBytes: number, advice: OutputAdvice): AnswerBudget {
  let bytes = 0;
  let itemCount = 0;
  function charge<T>(piece: Piece, value: T): T {
    bytes += Buffer.byteLength(jsonText(value) ?? '');
    if (bytes > maxBytes) throw tooLarge(piece, maxBytes, advice);
    return value;
  }

  return {
    charge: ({ id: executionId }, field, value) => charge({ field, executionId }, value),

    eventData: ({ event: { data }, metadata: { eventId } }) =>
      charge({ field: 'data', eventId }, data),

    listItems(items) {
      itemCount += items.length;
      if (itemCount > MAX_LIST_ITEMS) throw tooManyItems();
      return items;
    },
  };
}

function tooManyItems(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The lists of one response have at most ${MAX_LIST_ITEMS} items together. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_LIST_ITEMS },
  );
}
