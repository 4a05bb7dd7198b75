import type { Socket } from 'node:net';

/**
 * The bytes of the current message that the operating system has not taken yet. `bufferedAmount`, `writableLength` and
 * `bytesWritten` change only when it has taken the whole message. Node's own socket timeout uses this value too, but it
 * has no public name.
 */
export function unsentBytes(
  socket: Socket & { readonly _handle?: { readonly writeQueueSize: number } | null },
): number {
  return socket._handle?.writeQueueSize ?? 0;
}
