import type { DoorDeps } from '../../../openDoor.ts';
import type { SandboxCall } from '../../surface.ts';
import { messageIn } from './fields.ts';
import { compressed, onlyFrameIn } from './frames.ts';
import type { ServerStream } from './method.ts';
import { RpcError } from './rpcError.ts';
import { goneOf, rpcErrorOf } from './rpcErrorOf.ts';
import { openRpcStream } from './rpcStream.ts';
import { unimplemented } from './serveUnary.ts';
import { requireUser } from './user.ts';

/** E2B's own. */
const DEFAULT_KEEPALIVE_MS = 90_000;

/**
 * Answers in frames. An error is in the last one, also an error of the request: callers take another status than 200 for
 * a server without this method.
 * @throws a DomainError, if the sandbox is gone before the first frame
 */
export async function serveStream(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newId'>,
  method: ServerStream | undefined,
): Promise<void> {
  const { req, res, readBytes } = sandbox.call;
  const body = await readBytes();
  const timeoutMs = timeoutOf(req.headers['connect-timeout-ms']);
  const stream = openRpcStream(sandbox, {
    keepalive: method?.keepalive ?? {},
    keepaliveMs: keepaliveOf(req.headers['keepalive-ping-interval']),
    timeoutMs: timeoutMs ?? null,
  });
  try {
    requireUser(req.headers.authorization);
    if ((req.headers['connect-content-encoding'] ?? 'identity') !== 'identity') throw compressed();
    if (timeoutMs === undefined) throw badTimeout();
    if (!method) throw unimplemented();
    await method.handle(sandbox, messageIn(onlyFrameIn(body)), stream.out);
    // Whoever follows a process that was killed with its sandbox must not take it for ended.
    if (await sandbox.hasEnded()) res.destroy();
    else stream.finish(null);
  } catch (error: unknown) {
    const gone = await goneOf(sandbox, error);
    if (!gone) stream.finish(rpcErrorOf(error, deps));
    else if (res.headersSent) res.destroy();
    else throw gone;
  } finally {
    stream.close();
  }
}

/** Null: no limit, which envd also takes 0 for. Undefined: not as the protocol has it. */
function timeoutOf(header: string | string[] | undefined): number | null | undefined {
  if (header === undefined) return null;
  return /^\d{1,10}$/.test(String(header)) ? Number(header) || null : undefined;
}

function badTimeout(): RpcError {
  return new RpcError('invalid_argument', 'Connect-Timeout-Ms must be an integer of milliseconds.');
}

function keepaliveOf(header: string | string[] | undefined): number {
  const seconds = /^\d{1,6}$/.test(String(header)) ? Number(header) : 0;
  return seconds > 0 ? seconds * 1_000 : DEFAULT_KEEPALIVE_MS;
}
