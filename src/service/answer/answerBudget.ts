/** Limits one answer, in bytes and in items of lists. */
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { jsonText } from '../../domain/exactJson.ts';
import type { Execution } from '../../domain/execution.ts';
import { type OutputAdvice, type Piece, tooLarge } from './tooMuch.ts';

/** Ten full pages. An answer can contain several lists, and each has only its own limit. */
export const MAX_LIST_ITEMS = 10_000;
/** A full page of things, each with its events. Each list of events is a read of its own. */
const MAX_EVENT_LISTS = 100;

export interface AnswerBudget {
  /**
   * Counts the size of `value` as part of the answer, and returns it.
   * @throws DomainError BAD_USER_INPUT when the answer would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
  /** Counts the content of a file before it is read. @throws DomainError BAD_USER_INPUT like {@link charge} */
  fileBytes(path: string, field: string, count: number): void;
  /** Counts and returns an event's data. @throws DomainError BAD_USER_INPUT like {@link charge} */
  eventData(event: RecordedEvent): RecordedEvent['event']['data'];
  /**
   * Counts and returns the items of a page.
   * @throws DomainError BAD_USER_INPUT when all pages of the answer together have more than 10,000 items
   */
  listItems<T>(items: readonly T[]): readonly T[];
  /** Counts a list of the events of one thing. @throws DomainError BAD_USER_INPUT for more than 100 of them */
  eventList(): void;
}

export function createAnswerBudget(maxBytes: number, advice: OutputAdvice): AnswerBudget {
  let bytes = 0;
  let itemCount = 0;
  let eventLists = 0;
  function charge<T>(piece: Piece, value: T): T {
    count(piece, Buffer.byteLength(jsonText(value) ?? ''));
    return value;
  }
  function count(piece: Piece, added: number): void {
    bytes += added;
    if (bytes > maxBytes) throw tooLarge(piece, maxBytes, advice);
  }

  return {
    charge: ({ id: executionId }, field, value) => charge({ field, executionId }, value),

    fileBytes: (path, field, added) => count({ field, path }, added),

    eventData: ({ event: { data }, metadata: { eventId } }) =>
      charge({ field: 'data', eventId }, data),

    listItems(items) {
      itemCount += items.length;
      if (itemCount > MAX_LIST_ITEMS) throw tooManyItems();
      return items;
    },

    eventList() {
      eventLists += 1;
      if (eventLists > MAX_EVENT_LISTS) throw tooManyEventLists();
    },
  };
}

function tooManyEventLists(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `One response may have the events of at most ${MAX_EVENT_LISTS} things. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_EVENT_LISTS },
  );
}

export function tooManyItems(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The lists of one response may have at most ${MAX_LIST_ITEMS} items together. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_LIST_ITEMS },
  );
}
