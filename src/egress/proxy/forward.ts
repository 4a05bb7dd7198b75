/** Forwards one request to its host, over a separate connection. */
import { type ClientRequest, type IncomingMessage, request, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { authorityOf } from '../../domain/egress.ts';
import { EgressRefusal, malformed } from '../egressRefusal.ts';
import { respondRefused, writeRefused } from './answers.ts';
import type { AskedUrl } from './askedUrl.ts';
import { passedOn } from './headers.ts';
import { join } from './join.ts';

const HTTP_PORT = 80;

/** Whether the request gives the length of its body in at most one way, which all programs interpret alike. */
export function hasPlainBody({ headers }: IncomingMessage): boolean {
  const { 'transfer-encoding': encoding, 'content-length': length } = headers;
  if (encoding === undefined) return length === undefined || /^\d{1,15}$/.test(length);
  return encoding.toLowerCase() === 'chunked' && length === undefined;
}

/** Sends the request to the host, and the host's answer to `res`. */
export function forward(
  req: IncomingMessage,
  res: ServerResponse,
  asked: AskedUrl,
  socket: Socket,
): void {
  const { 'transfer-encoding': encoding, 'content-length': length } = req.headers;
  const body =
    encoding !== undefined
      ? ['Transfer-Encoding', 'chunked']
      : length !== undefined
        ? ['Content-Length', length]
        : [];
  const call = callHost(req, asked, socket, [...body, 'Connection', 'close']);
  res.once('close', () => socket.destroy());
  res.on('error', () => undefined);
  call.on('response', (answer) => passAnswer(answer, res));
  call.on('error', () => failed(res));
  call.on('upgrade', () => failed(res));
  if (body.length === 0) call.end();
  else pipeline(req, call, () => undefined);
}

/** Like {@link forward}, for a request to switch to another protocol, such as WebSocket. */
export function forwardUpgrade(
  req: IncomingMessage,
  { stream, head }: { readonly stream: Duplex; readonly head: Buffer },
  asked: AskedUrl,
  socket: Socket,
): void {
  const protocol = req.headers.upgrade ?? '';
  const call = callHost(req, asked, socket, ['Connection', 'Upgrade', 'Upgrade', protocol]);
  stream.once('close', () => socket.destroy());
  let hasAnswer = false;
  call.on('upgrade', (answer: IncomingMessage, _socket: Socket, first: Buffer) => {
    stream.write(headOf(answer), 'latin1');
    if (first.length > 0) stream.write(first);
    if (head.length > 0) socket.write(head);
    join(stream, socket);
  });
  call.on('response', (answer) => {
    hasAnswer = true;
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.on('error', () => undefined);
    // A stream that carries HTTP is used like a socket.
    res.assignSocket(stream as Socket);
    res.once('finish', () => stream.end());
    passAnswer(answer, res);
  });
  call.on('error', () => {
    if (hasAnswer) stream.destroy();
    else writeRefused(stream, brokenOff());
  });
  call.end();
}

/** @throws EgressRefusal if a header has a character that is not allowed. The socket is then closed. */
function callHost(
  req: IncomingMessage,
  { target, path }: AskedUrl,
  socket: Socket,
  own: readonly string[],
): ClientRequest {
  try {
    return request({
      createConnection: () => socket,
      method: req.method ?? 'GET',
      path,
      headers: ['Host', authorityOf(target, HTTP_PORT), ...passedOn(req.rawHeaders), ...own],
    });
  } catch {
    socket.destroy();
    throw malformed();
  }
}

function passAnswer(answer: IncomingMessage, res: ServerResponse): void {
  const { 'transfer-encoding': encoding, 'content-length': length } = answer.headers;
  const body = encoding === undefined && length !== undefined ? ['Content-Length', length] : [];
  res.sendDate = false;
  try {
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', [
      ...passedOn(answer.rawHeaders),
      ...body,
      // The explicit header makes Node end the connection at once.
      ...['Connection', 'close'],
    ]);
  } catch {
    // A header of the host's answer has a character that is not allowed.
    answer.destroy();
    failed(res);
    return;
  }
  // A truncated body must not look complete. So the pipeline destroys `res` and its connection if the body breaks off.
  pipeline(answer, res, () => undefined);
}

function failed(res: ServerResponse): void {
  if (res.headersSent || res.destroyed) res.destroy();
  else respondRefused(res, brokenOff());
}

function brokenOff(): EgressRefusal {
  return new EgressRefusal(502, 'unreachable', 'The host gave no valid HTTP answer.');
}

function headOf({ statusMessage, rawHeaders, headers }: IncomingMessage): string {
  const passed = [
    ...passedOn(rawHeaders),
    'Connection',
    'Upgrade',
    'Upgrade',
    headers.upgrade ?? '',
  ];
  const lines = [`HTTP/1.1 101 ${statusMessage ?? ''}`];
  for (let at = 0; at < passed.length; at += 2) lines.push(`${passed[at]}: ${passed[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
