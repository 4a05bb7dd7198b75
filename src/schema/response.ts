/** One response: what it has loaded, so that no output is read twice, and how large it may still become. */
import { DomainError } from '../errors.ts';
import type { OutputItem } from '../events/eventStore.ts';
import type { Execution } from '../events/states.ts';
import type { Loaders } from './loaders.ts';

export interface Response {
  readonly load: Loaders;
  /**
   * Everything the execution put out so far, the finish included; read once, when the first field needs it.
   * @throws DomainError BAD_USER_INPUT if that alone is more than MAX_RESPONSE_BYTES
   */
  outputs(execution: Execution): Promise<readonly OutputItem[]>;
  /**
   * Counts `value` as part of the response and gives it back.
   * @throws DomainError BAD_USER_INPUT when the response would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
}

export function createResponse(load: Loaders, maxBytes: number): Response {
  const loaded = new WeakMap<Execution, Promise<readonly OutputItem[]>>();
  let bytes = 0;

  return {
    load,

    outputs(execution) {
      const known = loaded.get(execution);
      if (known) return known;
      const loading = loadAll(load, execution, maxBytes);
      loaded.set(execution, loading);
      return loading;
    },

    charge(execution, field, value) {
      bytes += Buffer.byteLength(JSON.stringify(value) ?? '');
      if (bytes > maxBytes) throw tooLarge(execution, field, maxBytes);
      return value;
    },
  };
}

async function loadAll(
  load: Loaders,
  execution: Execution,
  maxBytes: number,
): Promise<readonly OutputItem[]> {
  const items = await load.outputs.load(execution.id);
  // The service stops at MAX_RESPONSE_BYTES; a part must not pass for the whole.
  const isWhole = execution.finishedAt === null || items.at(-1)?.output.kind === 'finish';
  if (!isWhole) throw tooLarge(execution, 'outputs', maxBytes);
  return items;
}

function tooLarge(execution: Execution, field: string, limit: number): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The response would be larger than ${limit} bytes (MAX_RESPONSE_BYTES) with \`${field}\` of execution ${execution.id}. ` +
      'Ask for its `outputs` page by page (`after`, `first`), or follow the subscription `output`.',
    { field, limit, executionId: execution.id },
  );
}
