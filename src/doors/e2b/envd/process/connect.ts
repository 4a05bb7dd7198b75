import { onAbort } from '../../../../async/onAbort.ts';
import type { ServerStream } from '../rpc/method.ts';
import { endEventOf } from './endEvent.ts';
import { KEEPALIVE, sendOutput, sendStart } from './events.ts';
import { selectedIn } from './selected.ts';

/** Tells what a process writes from now on, and its end; of one that has ended lately, only that. */
export const connect: ServerStream = {
  kind: 'stream',
  keepalive: KEEPALIVE,
  handle: async (sandbox, message, out) => {
    const { service } = sandbox.call;
    const { execution, lastSeq } = await selectedIn(sandbox, message);
    await sendStart(out, execution);
    if (execution.finishedAt === null) {
      const items = await service.followExecution(execution.id, lastSeq);
      onAbort(out.gone, () => void items.return?.());
      for await (const item of items) await sendOutput(out, execution, item);
    }
    if (out.gone.aborted) return;
    const ended = await service.execution(execution.id);
    await out.send(await endEventOf(sandbox, ended ?? execution));
  },
};
