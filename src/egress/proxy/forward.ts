/** Forwards one request to its host, over a separate connection. */
import { type ClientRequest, type IncomingMessage, request, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { authorityOf, parseTarget, type Target } from '../../domain/egress.ts';
import { EgressRefusal, malformed } from '../egressRefusal.ts';

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

// Which headers a proxy passes on (RFC 9110, 7.6.1).

/** Headers that are valid for one connection only, or that the proxy sets itself. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  'content-length',
]);

/**
 * The headers to forward, in their order, as alternating names and values. Left out are headers of one connection,
 * headers that `Connection` names, `Host`, and the headers for the length of the body.
 */
function passedOn(rawHeaders: readonly string[]): string[] {
  const pairs = pairsOf(rawHeaders);
  const named = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(',').map((word) => word.trim().toLowerCase())),
  );
  return pairs
    .filter(([name]) => !NOT_PASSED.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat();
}

function pairsOf(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    pairs.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '']);
  return pairs;
}

/** The parsed URL of a request to the proxy. */
interface AskedUrl {
  readonly target: Target;
  /** The path and query that are sent to the host. */
  readonly path: string;
}

/** Allows no character that a URL must escape, and no backslash, which some programs read as a slash. */
const ABSOLUTE = /^http:\/\/([^/?#\\]*)((?:[/?][!-"$-[\]-~]*)?)$/i;

/** Parses an absolute URL. Null if it is not absolute, or its scheme is not `http`. */
export function parseAskedUrl(url: string): AskedUrl | null {
  const [, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? [];
  const target = parseTarget(authority, 80);
  return target && { target, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** Copies both ways until both have ended. The end of one way does not end the other; a failure ends both. */
export function join(one: Duplex, other: Duplex): void {
  one.pipe(other);
  other.pipe(one);
  endWith(one, other);
  endWith(other, one);
}

function endWith(one: Duplex, other: Duplex): void {
  const end = () => {
    // Bytes of `one` may still be on their way to `other`, so `other` is ended and not destroyed.
    if (one.readableEnded && !one.errored) other.end();
    else other.destroy();
  };
  if (one.destroyed) end();
  else one.once('close', end);
}

// Answers of the proxy itself, not of a host.

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
