/** `Execution.outputs(after, first)`. */
import { DomainError } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { OutputItem } from '../domain/output.ts';
import type { SchemaContext } from './context.ts';

interface PageArgs {
  readonly after?: number | null | undefined;
  readonly first?: number | null | undefined;
}

/** @throws DomainError BAD_USER_INPUT naming the argument that is negative, or when the response would be too large */
export async function outputPage(
  execution: Execution,
  { after, first }: PageArgs,
  context: SchemaContext,
  { rootValue }: { readonly rootValue: unknown },
): Promise<readonly OutputItem[]> {
  const afterSeq = atLeastZero('after', after ?? 0);
  const limit = first == null ? null : atLeastZero('first', first);
  if (limit === 0) return [];
  const response = context.response(rootValue);
  const items =
    afterSeq === 0 && limit === null
      ? await response.outputs(execution)
      : await response.outputPage(execution, afterSeq, limit);
  const page = items.filter(({ output }) => output.kind !== 'finish');
  for (const { output } of page) response.charge(execution, 'outputs', output);
  return page;
}

function atLeastZero(field: string, value: number): number {
  if (value >= 0) return value;
  throw new DomainError('BAD_USER_INPUT', `\`${field}\` is ${value}, but must be at least 0.`, {
    field,
    min: 0,
  });
}
