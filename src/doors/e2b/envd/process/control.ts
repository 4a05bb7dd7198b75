import type { InterruptSignal } from '../../../../domain/execution.ts';
import type { Unary } from '../rpc/method.ts';
import { RpcError } from '../rpc/rpcError.ts';
import { runningIn } from './selected.ts';
import { terminalIn } from './startRequest.ts';

/** By their names and by their numbers, since JSON of proto3 may have either. */
const SIGNALS: Readonly<Record<string, InterruptSignal>> = {
  SIGNAL_SIGTERM: 'SIGTERM',
  15: 'SIGTERM',
  SIGNAL_SIGKILL: 'SIGKILL',
  9: 'SIGKILL',
};

/** Ends a process. It resolves when that has happened, or the grace time after SIGTERM is over. */
export const sendSignal: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id } = await runningIn(sandbox, message);
    const asked = String(message.signal ?? 'SIGNAL_UNSPECIFIED');
    const signal = Object.hasOwn(SIGNALS, asked) ? SIGNALS[asked] : undefined;
    if (signal === undefined) throw new RpcError('unimplemented', `invalid signal: ${asked}`);
    await sandbox.call.service.interrupt(id, signal);
    return {};
  },
};

/** Gives a terminal another size. */
export const update: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id, options } = await runningIn(sandbox, message);
    const size = terminalIn(message);
    if (size === null) return {};
    if (!options?.pty) throw new RpcError('failed_precondition', 'tty not assigned to process');
    await sandbox.call.service.resizeTerminal(id, size);
    return {};
  },
};
