/** How large one response may still become, in bytes and in items of lists. */
import { DomainError } from '../domain/errors.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Execution } from '../domain/execution.ts';

/** Ten whole pages. The limit of cost does not see how many items a page has that a variable asks for. */
const MAX_LIST_ITEMS = 10_000;

export interface ResponseBudget {
  /**
   * Counts `value` as part of the response and gives it back.
   * @throws DomainError BAD_USER_INPUT when the response would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
  /** An event's data, counted. @throws DomainError BAD_USER_INPUT as {@link charge} */
  eventData(event: RecordedEvent): RecordedEvent['event']['data'];
  /**
   * A page's items, counted.
   * @throws DomainError BAD_USER_INPUT when the pages of the response have more than 10,000 in all
   */
  listItems<T>(items: readonly T[]): readonly T[];
}

export function createResponseBudget(maxBytes: number): ResponseBudget {
  let bytes = 0;
  let itemCount = 0;
  /** Whether the response may become larger by `value`; it counts from now on. */
  const fits = (value: unknown): boolean => {
    bytes += Buffer.byteLength(JSON.stringify(value) ?? '');
    return bytes <= maxBytes;
  };

  return {
    charge({ id: executionId }, field, value) {
      if (fits(value)) return value;
      throw tooLarge(
        `\`${field}\` of execution ${executionId}`,
        'Ask for its `outputs` page by page (`after`, `first`), or follow the subscription `output`.',
        { field, limit: maxBytes, executionId },
      );
    },

    eventData({ event: { data }, metadata: { eventId } }) {
      if (fits(data)) return data;
      throw tooLarge(`\`data\` of event ${eventId}`, 'Ask for fewer events at once (`first`).', {
        field: 'data',
        limit: maxBytes,
        eventId,
      });
    },

    listItems(items) {
      itemCount += items.length;
      if (itemCount > MAX_LIST_ITEMS) throw tooManyItems();
      return items;
    },
  };
}

interface Facts extends Record<string, unknown> {
  readonly limit: number;
}

function tooLarge(withWhat: string, advice: string, facts: Facts): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The response would be larger than ${facts.limit} bytes (MAX_RESPONSE_BYTES) with ${withWhat}. ${advice}`,
    facts,
  );
}

function tooManyItems(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The lists of one response have at most ${MAX_LIST_ITEMS} items together. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_LIST_ITEMS },
  );
}
