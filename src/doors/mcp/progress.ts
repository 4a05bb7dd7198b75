/** Reports the progress of a call to a client that asked for it. */
import { createOneAtATime } from '../../async/oneAtATime.ts';
import type { BoundService } from '../../service/service.ts';
import type { Notify } from './mcpCall.ts';

/** Often enough for clients that wait 30 s or 60 s since the last progress. */
const INTERVAL_MS = 15_000;
const MAX_MESSAGE_CHARS = 200;

export interface Progress {
  /** From now on, reports contain the last line of this execution's output after the seq `after`. */
  follow(executionId: string, after: number): void;
  /** Ends the reports. */
  close(): Promise<void>;
}

/** Reports the seconds that have passed: at once, and then at each interval. */
export function reportProgress(
  service: Pick<BoundService, 'followExecution'>,
  notify: NonNullable<Notify>,
): Progress {
  const begun = performance.now();
  let last = -1;
  let line = '';
  const inOrder = createOneAtATime();
  let outputs: AsyncIterableIterator<unknown> | null = null;
  let isClosed = false;

  function tell(): void {
    const seconds = Math.round((performance.now() - begun) / 1_000);
    // The protocol requires that the value rises with each report.
    last = Math.max(seconds, last + 1);
    const progress = last;
    // A client that has gone gets nothing, and that is no failure of the call.
    inOrder(() => notify(progress, line)).catch(() => undefined);
  }

  async function read(executionId: string, after: number): Promise<void> {
    const items = await service.followExecution(executionId, after);
    outputs = items;
    if (isClosed) return void (await items.return?.());
    for await (const { output } of items)
      if (output.kind === 'stream') line = lastLine(output.text) ?? line;
  }

  tell();
  const timer = setInterval(tell, INTERVAL_MS);
  return {
    follow(executionId, after) {
      // If this fails, the call itself fails too, and reports it.
      read(executionId, after).catch(() => undefined);
    },
    async close() {
      isClosed = true;
      clearInterval(timer);
      await outputs?.return?.();
      await inOrder(async () => undefined);
    },
  };
}

function lastLine(text: string): string | null {
  const lines = text.split(/[\r\n]+/);
  const line = lines.findLast((one) => one.trim() !== '');
  return line?.slice(0, MAX_MESSAGE_CHARS).toWellFormed() ?? null;
}
