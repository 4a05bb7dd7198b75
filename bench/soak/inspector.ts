/** Reads the live heap and the open handles of a running Node process through its inspector (`--inspect`). */
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** What a process holds. */
export interface Holdings {
  /**
   * Bytes of reachable data in the heap and in external buffers, after a full garbage collection. Compiled code does
   * not count, because V8 goes on compiling hot code for minutes.
   */
  readonly liveBytes: number;
  /** The number of timers, sockets, requests and the like that keep the event loop alive. */
  readonly handles: number;
}

export interface Inspector {
  /** Collects all garbage, then reads the figures. */
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

/** @param log the output of the process, which contains its inspector's address. @throws Error if it does not */
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
      // Twice, because finalizers of the first collection make more data unreachable.
      await call('HeapProfiler.collectGarbage');
      await call('HeapProfiler.collectGarbage');
      const evaluated = await call('Runtime.evaluate', { expression: LOOK, returnByValue: true });
      return (evaluated as { result: { value: Holdings } }).result.value;
    },
    close: () => socket.close(),
  };
}
