import type { Execution } from '../../domain/execution.ts';
import type { OutputsRead } from '../../domain/output.ts';
import { validateOutputRange } from '../answer/outputRange.ts';
import { notFound } from '../notFound.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { PAGE } from './followOutput.ts';

/**
 * The outputs of an execution after `after` that are stored now, at most a page of them. A caller that reads page by
 * page holds no more than one page in memory, however much the execution has printed.
 * @param execution as an operation gave it
 * @throws NOT_FOUND, BAD_USER_INPUT
 */
export async function outputPage(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  execution: Pick<Execution, 'id' | 'tenant' | 'userUuid' | 'finishedAt'>,
  after: number,
): Promise<OutputsRead> {
  validateOutputRange({ after });
  if (!sees(principal, execution)) throw notFound('execution', execution.id);
  const read = () => database.queries.outputs({ executionId: execution.id, seq: after }, PAGE);
  const page = await read();
  // After each commit, memory may answer once that nothing more is there (freshOutputs.ts), although another gateway
  // has stored the rest and the end. The second call then reads the database.
  const isBehind = page.items.length === 0 && !page.isEnd && execution.finishedAt !== null;
  return isBehind ? await read() : page;
}
