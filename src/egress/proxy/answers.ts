/** Answers of the proxy itself, not of a host. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { EgressRefusal } from '../egressRefusal.ts';

/** The refusal that code gets for an error. An error that is not a refusal becomes a general one without details. */
export function egressRefusalOf(error: unknown): EgressRefusal {
  if (error instanceof EgressRefusal) return error;
  return new EgressRefusal(
    503,
    'unreachable',
    'The proxy cannot make connections at this time. Try again later.',
  );
}

/**
 * Writes the sentence into the status line, too, because clients such as pip show only that line of a refused CONNECT.
 */
export function respondRefused(res: ServerResponse, { status, message }: EgressRefusal): void {
  res.sendDate = false;
  res.writeHead(status, message, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(message) + 1,
    connection: 'close',
  });
  res.end(`${message}\n`);
}

/** Like {@link respondRefused}, on a connection that the HTTP server has handed over. */
export function writeRefused(stream: Duplex, { status, message }: EgressRefusal): void {
  if (!stream.writable) {
    stream.destroy();
    return;
  }
  const lines = [
    `HTTP/1.1 ${status} ${message}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message) + 1}`,
    'Connection: close',
  ];
  stream.end(`${lines.join('\r\n')}\r\n\r\n${message}\n`, () => stream.destroy());
}
