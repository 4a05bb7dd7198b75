import { pause } from '../../../../async/pause.ts';
import { DomainError } from '../../../../domain/errors.ts';
import type { SandboxCall } from '../../surface.ts';
import type { RpcStream, ServerStream } from '../rpc/method.ts';
import { RpcError } from '../rpc/rpcError.ts';
import { endEventOf } from './endEvent.ts';
import { KEEPALIVE, sendOutput, sendStart } from './events.ts';
import { type StartRequest, startRequestIn } from './startRequest.ts';

/** A client that goes away so shortly before the time limit has measured it from before its request arrived here. */
const EARLY_MS = 2_000;

/**
 * Starts a command, and tells what becomes of it. It outlives the connection, but not the time limit of the call, which is
 * recorded as its own. So the limit holds whatever becomes of this gateway.
 */
export const start: ServerStream = {
  kind: 'stream',
  keepalive: KEEPALIVE,
  handle: async (sandbox, message, out) => {
    const since = performance.now();
    const request = startRequestIn(message);
    await requireFolder(sandbox, request);
    // Nobody would know of the command.
    if (out.gone.aborted) return;
    const { service } = sandbox.call;
    const { execution, news } = await service.executeFollowed(
      executeRequestOf(sandbox, request, out),
      out.gone,
    );
    for await (const each of news) {
      if (each.type === 'begun') await sendStart(out, each.execution);
      else if (each.type === 'output') await sendOutput(out, execution, each.item);
      else return out.send(await endEventOf(sandbox, each.execution));
    }
    // Nobody listens any more. At the time limit, the command gets no grace time.
    const leftMs = since + (out.timeoutMs ?? Number.POSITIVE_INFINITY) - performance.now();
    if (leftMs > EARLY_MS) return;
    await pause(leftMs);
    await service.interrupt(execution.id, 'SIGKILL');
  },
};

function executeRequestOf(
  { userUuid }: SandboxCall,
  { folder, ...request }: StartRequest,
  { timeoutMs }: RpcStream,
) {
  const own = { workingDirectory: folder, isProcess: true, timeoutMs };
  return { userUuid, language: 'BASH', ...request, ...own } as const;
}

/** Otherwise the command would have begun before it is clear that it cannot. */
async function requireFolder(
  { call: { service }, userUuid, hasEnded }: SandboxCall,
  { folder }: StartRequest,
): Promise<void> {
  if (folder === null) return;
  const found = await service.file(userUuid, folder, { follow: true });
  if (found === null && (await hasEnded()))
    throw new DomainError('SESSION_ENDED', 'The session has ended.');
  if (found === null) throw refused(folder, 'does not exist');
  if (found.entry.kind !== 'directory') throw refused(folder, 'is not a directory');
}

function refused(folder: string, why: string): RpcError {
  return new RpcError('invalid_argument', `cwd '${folder}' ${why}`);
}
