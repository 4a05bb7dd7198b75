/** What a gateway really holds: its memory once everything that can be freed has been, asked of it as a debugger does. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TestGateway } from './gateway.ts';
import { until } from './until.ts';

/** For a gateway that is to be asked: SIGUSR1 makes it listen for a debugger, on a free port. */
export const LIVE_MEMORY_ENV = { NODE_OPTIONS: '--inspect-port=0' };

const USAGE = `(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())`;

/** Heap and buffers outside it, in MB. Its garbage collection stops the gateway for some ten milliseconds. */
export async function liveMemoryMb(gateway: TestGateway): Promise<number> {
  process.kill(gateway.pid, 'SIGUSR1');
  const url = await until('the gateway to listen for a debugger', async () => {
    return /Debugger listening on (ws:\S+)/.exec(gateway.log())?.[1];
  });
  const socket = new WebSocket(url);
  await once(socket, 'open');
  await ask(socket, 'HeapProfiler.collectGarbage', {});
  const { result } = await ask<{ result: { value: number } }>(socket, 'Runtime.evaluate', {
    expression: USAGE,
  });
  socket.close();
  await once(socket, 'close');
  return result.value / 1_048_576;
}

async function ask<Result>(socket: WebSocket, method: string, params: object): Promise<Result> {
  const answered = once(socket, 'message');
  socket.send(JSON.stringify({ id: 1, method, params }));
  const [data] = await answered;
  return JSON.parse(String(data)).result;
}
