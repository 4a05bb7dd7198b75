/** What is told of a process, as events of its stream. */
import type { Execution } from '../../../../domain/execution.ts';
import type { OutputItem } from '../../../../domain/output.ts';
import type { RpcStream } from '../rpc/method.ts';
import { RpcError } from '../rpc/rpcError.ts';

/** As envd reads at a time, so clients know no more. */
const MAX_CHUNK_BYTES = 32_768;

export const KEEPALIVE = { event: { keepalive: {} } };

/** Tells the process id, which clients wait for. */
export async function sendStart(out: RpcStream, { pid }: Pick<Execution, 'pid'>): Promise<void> {
  if (pid === null) throw new RpcError('internal', 'The worker has not told the process id.');
  await out.send({ event: { start: { pid } } });
}

/** Tells what a command has written, in chunks that split no character. */
export async function sendOutput(
  out: RpcStream,
  { options }: Pick<Execution, 'options'>,
  { output }: OutputItem,
): Promise<void> {
  const written = writtenIn(output);
  if (written === null) return;
  const name = options?.pty ? 'pty' : written.name;
  for (const chunk of chunksOf(written.bytes))
    await out.send({ event: { data: { [name]: chunk.toString('base64') } } });
}

function writtenIn(output: OutputItem['output']) {
  if (output.kind === 'stream') {
    const { name, text, base64 } = output;
    return {
      name,
      bytes: base64 === undefined ? Buffer.from(text) : Buffer.from(base64, 'base64'),
    };
  }
  if (output.kind !== 'gap') return null;
  // Without a word, clients would take the beginning for everything.
  const text = `\n[${output.droppedBytes ?? 'Some'} bytes of output were not kept.]\n`;
  return { name: 'stderr' as const, bytes: Buffer.from(text) };
}

export function* chunksOf(bytes: Buffer, maxBytes = MAX_CHUNK_BYTES): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const end = endOfChunk(bytes, start, maxBytes);
    yield bytes.subarray(start, end);
    start = end;
  }
}

/** Not within a character of UTF-8, unless there is no other place. */
function endOfChunk(bytes: Buffer, start: number, maxBytes: number): number {
  const furthest = start + maxBytes;
  if (furthest >= bytes.length) return bytes.length;
  let end = furthest;
  while (end > start && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end > start ? end : furthest;
}
