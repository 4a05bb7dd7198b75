import type { Execution } from '../../../../domain/execution.ts';
import type { SandboxCall } from '../../surface.ts';
import { bytesIn, type Fields, partIn } from '../rpc/fields.ts';
import type { Unary } from '../rpc/method.ts';
import { RpcError } from '../rpc/rpcError.ts';
import { runningIn } from './selected.ts';

/** The service takes no more in one call. */
const MAX_PIECE_BYTES = 65_536;

/** Input for a process, which is recorded and delivered at whatever gateway. */
export const sendInput: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const execution = await runningIn(sandbox, message);
    const bytes = inputIn(message, execution);
    for (let start = 0; start < bytes.length; start += MAX_PIECE_BYTES)
      await send(sandbox, execution, bytes.subarray(start, start + MAX_PIECE_BYTES));
    return {};
  },
};

/** Nothing to close is no error, as in envd. */
export const closeStdin: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id: executionId, options, inputClosed } = await runningIn(sandbox, message);
    if (options?.pty)
      throw failed('cannot close stdin for PTY process: send Ctrl+D (0x04) instead');
    if (options?.allowInput && !inputClosed)
      await sandbox.call.service.sendInput({ executionId, text: '', close: true });
    return {};
  },
};

async function send(
  { call: { service } }: SandboxCall,
  { id: executionId }: Execution,
  bytes: Buffer,
): Promise<void> {
  await service.sendInput({ executionId, base64: bytes.toString('base64') });
}

/** @throws RpcError if the process has no such input */
function inputIn(message: Fields, { options, inputClosed }: Execution): Buffer {
  const input = partIn(message, 'input') ?? {};
  const [stdin, pty] = [bytesIn(input, 'stdin'), bytesIn(input, 'pty')];
  if (pty !== null) {
    if (options?.pty) return pty;
    throw failed('tty not assigned to process: input should be written to the stdin, not the tty');
  }
  if (stdin === null) throw new RpcError('unimplemented', 'input must have stdin or pty.');
  if (options?.pty)
    throw failed('tty assigned to process: input should be written to the pty, not the stdin');
  if (!options?.allowInput || inputClosed) throw failed('stdin not enabled or closed');
  return stdin;
}

function failed(message: string): RpcError {
  return new RpcError('failed_precondition', message);
}
