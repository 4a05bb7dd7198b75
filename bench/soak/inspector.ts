/** A look into a running Node process, by the protocol of its inspector (`--inspect`): what lives in its heap, and what it holds. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** What a process holds. */
export interface Holdings {
  /**
   * What the heap and the buffers beside it hold after a full collection, in bytes: all data that can be reached. Compiled
   * code does not count: the engine goes on compiling what is often run, for minutes.
   */
  readonly liveBytes: number;
  /** Timers, sockets, requests and the like that keep the event loop awake. */
  readonly handles: number;
}

export interface Inspector {
  /** Collects all garbage first. */
  look(): Promise<Holdings>;
  close(): void;
}

const LOOK = `(() => {
  const { heapUsed, external } = process.memoryUsage();
  const code = process.getBuiltinModule('v8').getHeapCodeStatistics();
  const codeBytes = code.code_and_metadata_size + code.bytecode_and_metadata_size;
  const handles = process.getActiveResourcesInfo().length;
  return { liveBytes: heapUsed + external - codeBytes, handles };
})()`;

/** @param log what the process has printed: it says there where its inspector is. @throws Error if it does not */
export async function openInspector(log: string): Promise<Inspector> {
  const address = [...log.matchAll(/^Debugger listening on (ws:\S+)$/gm)].at(-1)?.[1];
  if (address === undefined) throw new Error('The process was started without --inspect.');
  const socket = new WebSocket(address);
  await once(socket, 'open');
  let last = 0;

  async function call(method: string, params: object = {}): Promise<unknown> {
    last += 1;
    const id = last;
    socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = await once(socket, 'message');
      const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
      if (answer.id !== id) continue;
      if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
      return answer.result;
    }
  }

  return {
    async look() {
      // Twice: finalizers of the first collection let go of more.
      await call('HeapProfiler.collectGarbage');
      await call('HeapProfiler.collectGarbage');
      const evaluated = await call('Runtime.evaluate', { expression: LOOK, returnByValue: true });
      return (evaluated as { result: { value: Holdings } }).result.value;
    },
    close: () => socket.close(),
  };
}
