/** Answers that the proxy gives by itself. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { EgressRefusal } from '../egressRefusal.ts';

/** What code is told of a failure. @param error anything: what is no refusal is not told */
export function egressRefusalOf(error: unknown): EgressRefusal {
  if (error instanceof EgressRefusal) return error;
  return new EgressRefusal(
    503,
    'unreachable',
    'The proxy cannot make connections at this time. Try again later.',
  );
}

/** Clients such as pip show only the first line of a refused CONNECT, so the sentence is there, too. */
export function respondRefused(res: ServerResponse, { status, message }: EgressRefusal): void {
  res.sendDate = false;
  res.writeHead(status, message, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(message) + 1,
    connection: 'close',
  });
  res.end(`${message}\n`);
}

/** The same on a connection that has left the server of HTTP. */
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
