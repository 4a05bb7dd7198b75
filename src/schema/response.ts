/** One response: what it has loaded, so that no output is read twice, and how large it may still become. */
import { DomainError } from '../errors.ts';
import type { OutputItem } from '../events/eventStore.ts';
import type { RecordedEvent } from '../events/eventTypes.ts';
import type { Execution } from '../events/states.ts';
import type { Loaders } from './loaders.ts';

export interface Response {
  readonly load: Loaders;
  /**
   * Everything the execution put out so far, the finish included; read once, when the first field needs it.
   * @throws DomainError BAD_USER_INPUT if that, with the outputs of other executions that the response asks for at the same
   * time, is more than MAX_RESPONSE_BYTES
   */
  outputs(execution: Execution): Promise<readonly OutputItem[]>;
  /**
   * Its outputs with a seq above `after`, at most `limit` (null: all), the finish included. Never fewer than there are.
   * @throws DomainError BAD_USER_INPUT as {@link outputs}
   */
  outputPage(
    execution: Execution,
    after: number,
    limit: number | null,
  ): Promise<readonly OutputItem[]>;
  /**
   * The code, empty once it was pruned, counted as part of the response.
   * @throws DomainError BAD_USER_INPUT as {@link charge}
   */
  code(execution: Execution): Promise<string>;
  /**
   * Counts `value` as part of the response and gives it back.
   * @throws DomainError BAD_USER_INPUT when the response would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
  /** An event's data, counted. @throws DomainError BAD_USER_INPUT as {@link charge} */
  eventData(event: RecordedEvent): RecordedEvent['event']['data'];
}

export function createResponse(load: Loaders, maxBytes: number): Response {
  const loaded = new WeakMap<Execution, Promise<readonly OutputItem[]>>();
  let bytes = 0;

  /** Whether the response may become larger by `value`; it counts from now on. */
  const fits = (value: unknown): boolean => {
    bytes += Buffer.byteLength(JSON.stringify(value) ?? '');
    return bytes <= maxBytes;
  };
  const read = async ({ id }: Execution, after: number, limit: number | null) => {
    const items = await load.outputs.load({ executionId: id, after, limit });
    if (!items) throw tooManyAtOnce(id, 'outputs', maxBytes);
    return items;
  };

  const charge = <T>({ id: executionId }: Execution, field: string, value: T): T => {
    if (fits(value)) return value;
    throw tooLarge(
      `\`${field}\` of execution ${executionId}`,
      'Ask for its `outputs` page by page (`after`, `first`), or follow the subscription `output`.',
      { field, limit: maxBytes, executionId },
    );
  };

  return {
    load,

    outputs(execution) {
      const known = loaded.get(execution);
      if (known) return known;
      const loading = read(execution, 0, null);
      loaded.set(execution, loading);
      return loading;
    },

    outputPage: read,

    async code(execution) {
      const code = await load.code.load(execution.id);
      if (code === null) throw tooManyAtOnce(execution.id, 'code', maxBytes);
      return charge(execution, 'code', code);
    },

    charge,

    eventData({ event: { data }, metadata: { eventId } }) {
      if (fits(data)) return data;
      throw tooLarge(`\`data\` of event ${eventId}`, 'Ask for fewer events at once (`first`).', {
        field: 'data',
        limit: maxBytes,
        eventId,
      });
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

/** What was asked for at once is read up to the limit, whole executions only; this one is the first beyond it, or behind that. */
function tooManyAtOnce(executionId: string, field: 'code' | 'outputs', limit: number): DomainError {
  const alone =
    field === 'outputs'
      ? ', for its `outputs` page by page (`after`, `first`), or follow the subscription `output`'
      : '';
  return new DomainError(
    'BAD_USER_INPUT',
    `The \`${field}\` of execution ${executionId}, with those of the executions before it in this answer, are more than ${limit} bytes (MAX_RESPONSE_BYTES). ` +
      `Ask for fewer executions at once (\`first\`)${alone}.`,
    { field, limit, executionId },
  );
}
