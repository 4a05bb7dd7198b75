import type { Execution } from '../../../../domain/execution.ts';
import type { Fields } from '../../../shared/fields.ts';
import type { SandboxCall } from '../../surface.ts';
import { bytesIn, partIn } from '../rpc/fields.ts';
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
    await send(sandbox, execution, inputIn(message, execution));
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

/**
 * Long input goes in pieces, without those of another call in between, and not at all unless there is room for it.
 * @throws DomainError INPUT_OUT_OF_ORDER if another call has come in between
 */
async function send(
  { call: { service } }: Pick<SandboxCall, 'call'>,
  { id: executionId }: Execution,
  bytes: Buffer,
): Promise<void> {
  let offset: number | null = null;
  for (let start = 0; start < bytes.length; start += MAX_PIECE_BYTES) {
    const piece = bytes.subarray(start, start + MAX_PIECE_BYTES);
    const followingBytes = bytes.length - start - piece.length;
    const base64 = piece.toString('base64');
    const sent = await service.sendInput({ executionId, offset, base64, followingBytes });
    offset = sent.nextOffset;
  }
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
