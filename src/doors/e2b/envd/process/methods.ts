/** process.Process: a process is a command (docs/decisions/0069-a-command-has-a-process-id.md). */
import type { RpcMethods } from '../rpc/method.ts';
import { connect } from './connect.ts';
import { sendSignal, update } from './control.ts';
import { closeStdin, sendInput } from './input.ts';
import { list } from './list.ts';
import { start } from './start.ts';

/** StreamInput is missing: no SDK calls it. */
export const PROCESS_METHODS: RpcMethods = {
  'process.Process/Start': start,
  'process.Process/Connect': connect,
  'process.Process/List': list,
  'process.Process/SendInput': sendInput,
  'process.Process/CloseStdin': closeStdin,
  'process.Process/SendSignal': sendSignal,
  'process.Process/Update': update,
};
