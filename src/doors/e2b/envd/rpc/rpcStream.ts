import type { SandboxCall } from '../../surface.ts';
import { endFrame, messageFrame } from './frames.ts';
import type { RpcStream } from './method.ts';
import { RpcError } from './rpcError.ts';

/** Longer limits are none: Node's timers cannot wait for them. */
const MAX_TIMER_MS = 2_147_483_647;

export interface RpcStreamOptions {
  readonly keepalive: object;
  readonly keepaliveMs: number;
  readonly timeoutMs: number | null;
}

export interface OpenRpcStream {
  readonly out: RpcStream;
  /** Sends the last frame, once. */
  finish(error: RpcError | null): void;
  /** Without a last frame, the caller knows that the answer is not complete. Idempotent. */
  close(): void;
}

/** An answer in frames. The status is 200, also if it ends with an error. */
export function openRpcStream(
  { call: { res }, onStream }: SandboxCall,
  { keepalive, keepaliveMs, timeoutMs }: RpcStreamOptions,
): OpenRpcStream {
  const over = new AbortController();
  /** Sends that nobody has confirmed. If the connection ends, nobody calls back. */
  const unconfirmed = new Set<() => void>();
  const deadline =
    timeoutMs === null || timeoutMs > MAX_TIMER_MS ? null : setTimeout(expire, timeoutMs);
  let idle: NodeJS.Timeout | null = null;
  res.once('close', close);

  function begin(): void {
    if (res.headersSent) return;
    onStream();
    res.writeHead(200, { 'Content-Type': 'application/connect+json', 'Cache-Control': 'no-store' });
    idle = setTimeout(keepAlive, keepaliveMs);
  }
  function send(message: object): Promise<void> {
    if (over.signal.aborted) return Promise.resolve();
    begin();
    idle?.refresh();
    return new Promise((resolve) => {
      const done = () => {
        unconfirmed.delete(done);
        resolve();
      };
      unconfirmed.add(done);
      res.write(messageFrame(message), done);
    });
  }
  function keepAlive(): void {
    // A caller that takes nothing needs no further frames: these wait already.
    if (res.writableLength === 0) void send(keepalive);
    else idle?.refresh();
  }
  function expire(): void {
    const message = `The call has not ended within ${timeoutMs} ms (Connect-Timeout-Ms).`;
    finish(new RpcError('deadline_exceeded', message));
  }
  function finish(error: RpcError | null): void {
    if (over.signal.aborted) return;
    begin();
    close();
    res.end(endFrame(error));
  }
  function close(): void {
    if (deadline) clearTimeout(deadline);
    if (idle) clearTimeout(idle);
    over.abort();
    for (const done of unconfirmed) done();
  }
  return { out: { send, gone: over.signal, timeoutMs }, finish, close };
}
