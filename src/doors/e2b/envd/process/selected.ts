import type { FoundCommand } from '../../../../domain/commands.ts';
import { DomainError } from '../../../../domain/errors.ts';
import type { Execution } from '../../../../domain/execution.ts';
import type { Fields } from '../../../shared/fields.ts';
import type { SandboxCall } from '../../surface.ts';
import { countIn, partIn, textIn } from '../rpc/fields.ts';
import { RpcError } from '../rpc/rpcError.ts';

/** What of a call is needed to find a process. */
type Asked = Pick<SandboxCall, 'call' | 'userUuid' | 'hasEnded'>;

/** The process that a message selects by its id or its tag: one that runs, or has ended lately. @throws RpcError */
export async function selectedIn(
  { call: { service }, userUuid, hasEnded }: Asked,
  message: Fields,
): Promise<FoundCommand> {
  const selector = partIn(message, 'process') ?? {};
  const [pid, tag] = [countIn(selector, 'pid'), textIn(selector, 'tag')];
  if (pid === 0 && tag === '')
    throw new RpcError('invalid_argument', 'process must name a pid or a tag.');
  const found = await service.command(pid === 0 ? { userUuid, label: tag } : { userUuid, pid });
  if (found !== null) return found;
  // The service does not tell a command that is not there from a session that is not.
  if (await hasEnded()) throw new DomainError('SESSION_ENDED', 'The session has ended.');
  return notFound(pid === 0 ? `tag ${tag}` : `pid ${pid}`);
}

/** The same, if it runs. @throws RpcError */
export async function runningIn(sandbox: Asked, message: Fields): Promise<Execution> {
  const { execution } = await selectedIn(sandbox, message);
  return execution.finishedAt === null ? execution : notFound(`pid ${execution.pid}`);
}

function notFound(selector: string): never {
  throw new RpcError('not_found', `process with ${selector} not found`);
}
