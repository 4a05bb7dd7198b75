import type { DoorDeps } from '../../../openDoor.ts';
import { answerJson } from '../../answer.ts';
import type { SandboxCall } from '../../surface.ts';
import { messageIn } from './fields.ts';
import { compressed, errorBody } from './frames.ts';
import type { Unary } from './method.ts';
import { RPC_STATUSES, RpcError } from './rpcError.ts';
import { goneOf, rpcErrorOf } from './rpcErrorOf.ts';
import { requireUser } from './user.ts';

const NO_STORE = { 'Cache-Control': 'no-store' };

/** Answers with one message, or with the status and the body of an error. @throws a DomainError, if the sandbox is gone */
export async function serveUnary(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newId'>,
  method: Unary | undefined,
): Promise<void> {
  const { req, res, readBytes } = sandbox.call;
  const body = await readBytes();
  try {
    requireUser(req.headers.authorization);
    if ((req.headers['content-encoding'] ?? 'identity') !== 'identity') throw compressed();
    if (!method) throw unimplemented();
    answerJson(res, 200, await method.handle(sandbox, messageIn(body)), NO_STORE);
  } catch (error: unknown) {
    const gone = await goneOf(sandbox, error);
    if (gone) throw gone;
    const told = rpcErrorOf(error, deps);
    answerJson(res, RPC_STATUSES[told.code], errorBody(told), NO_STORE);
  }
}

/** The error for a method that nothing here has. */
export function unimplemented(): RpcError {
  return new RpcError('unimplemented', 'This method is not supported.');
}
