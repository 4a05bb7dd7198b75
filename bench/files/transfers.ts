/** Two ways to move a file to a worker and back. Each resolves with the milliseconds from the start to the last byte. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import type { TestGateway } from '../../testkit/gateway.ts';

/** The client sends pieces of this size. Their content is random, so nothing on the way can compress it. */
const PIECE = randomBytes(262_144);
/** The user that user code runs as. */
const USER_ID = '64002';

export interface Transfers {
  /** Writes a file of so many bytes. @throws Error if it was refused */
  up(name: string, bytes: number): Promise<number>;
  /** Reads a file. @throws Error if it has not so many bytes */
  down(name: string, bytes: number): Promise<number>;
}

/** So many random bytes. */
export function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length)
    yield left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
}

/** Reads a stream. @throws Error if it has not so many bytes */
export async function count(stream: AsyncIterable<Buffer>, bytes: number): Promise<void> {
  let received = 0;
  for await (const chunk of stream) received += chunk.length;
  if (received !== bytes) throw new Error(`${received} instead of ${bytes} bytes have arrived.`);
}

/** Over the gateway's `/files`, with kept connections. */
export function createHttpTransfers({ url, token }: TestGateway, userUuid: string): Transfers {
  const agent = new Agent({ keepAlive: true });
  const ask = async (
    method: string,
    name: string,
    bytes: number | null,
  ): Promise<IncomingMessage> => {
    const length = bytes === null ? {} : { 'content-length': bytes };
    const call = request(`${url}/files/${userUuid}/${name}`, {
      method,
      agent,
      headers: { 'x-auth-token': token, ...length },
    });
    const answered = once(call, 'response');
    if (bytes === null) call.end();
    else await pipeline(Readable.from(pieces(bytes)), call);
    const [answer] = (await answered) as [IncomingMessage];
    if ((answer.statusCode ?? 500) >= 300) throw new Error(await text(answer));
    return answer;
  };
  return {
    up: async (name, bytes) => {
      const startedAt = performance.now();
      await text(await ask('PUT', name, bytes));
      return performance.now() - startedAt;
    },
    down: async (name, bytes) => {
      const startedAt = performance.now();
      await count(await ask('GET', name, null), bytes);
      return performance.now() - startedAt;
    },
  };
}

/** With the engine's own `docker exec`, as the user. */
export function createExecTransfers(container: string): Transfers {
  const run = (command: string) =>
    spawn('docker', ['exec', '-i', '-u', USER_ID, container, 'sh', '-c', command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  return {
    up: async (name, bytes) => {
      const startedAt = performance.now();
      const child = run(`cat > ${WORKER_HOME}/${name}`);
      const ended = once(child, 'close');
      await pipeline(Readable.from(pieces(bytes)), child.stdin);
      const [code] = await ended;
      if (code !== 0) throw new Error(`docker exec has ended with ${code}.`);
      return performance.now() - startedAt;
    },
    down: async (name, bytes) => {
      const startedAt = performance.now();
      const child = run(`cat ${WORKER_HOME}/${name}`);
      child.stdin.end();
      await count(child.stdout, bytes);
      return performance.now() - startedAt;
    },
  };
}
