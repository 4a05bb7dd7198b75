/** One response: what it has loaded, so that no output is read twice, and how large it may still become. */
import { DomainError } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { OutputItem } from '../domain/output.ts';
import type { Loaders } from './loaders.ts';
import { createResponseBudget, type ResponseBudget } from './responseBudget.ts';

export interface Response extends ResponseBudget {
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
   * @throws DomainError BAD_USER_INPUT if it makes the response larger than MAX_RESPONSE_BYTES
   */
  code(execution: Execution): Promise<string>;
}

export function createResponse(load: Loaders, maxBytes: number): Response {
  const loaded = new Map<Execution, Promise<readonly OutputItem[]>>();
  const budget = createResponseBudget(maxBytes);

  const outputPage = async ({ id }: Execution, after: number, limit: number | null) => {
    const items = await load.outputs.load({ executionId: id, after, limit });
    if (!items) throw tooManyAtOnce(id, 'outputs', maxBytes);
    return items;
  };

  return {
    load,
    outputPage,

    outputs(execution) {
      const known = loaded.get(execution);
      if (known) return known;
      const loading = outputPage(execution, 0, null);
      loaded.set(execution, loading);
      return loading;
    },

    async code(execution) {
      const code = await load.code.load(execution.id);
      if (code === null) throw tooManyAtOnce(execution.id, 'code', maxBytes);
      return budget.charge(execution, 'code', code);
    },
    // Last: V8 makes an object that begins with a spread much more slowly.
    ...budget,
  };
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
