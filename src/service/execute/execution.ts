import type { Execution } from '../../domain/execution.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import { notFound } from '../notFound.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The execution with this id. Null if the id is unknown, malformed, or that of something the principal does not see. */
export async function execution(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<Execution | null> {
  const parsed = parseId<ExecutionId>(id);
  const found = parsed === null ? null : await database.queries.execution(parsed);
  return found && sees(principal, found) ? found : null;
}

/** The same for callers that need the execution. @throws NOT_FOUND */
export async function requireExecution(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<Execution> {
  const found = await execution(deps, principal, id);
  if (!found) throw notFound('execution', id);
  return found;
}
