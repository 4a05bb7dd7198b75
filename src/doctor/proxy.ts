/**
 * What doctor asks through the proxy in front of a gateway, as a client does: whether it has TLS, and passes on the name
 * of the host, WebSockets, streams as they come and while they are silent, the address of the client, and uploads of the
 * size that the gateway takes.
 */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import type { Config } from '../config/config.ts';
import { messageOf } from '../domain/errors.ts';
import { type Finding, failure, ok, unknown, warning } from './finding.ts';
import type { CheckId } from './troubles.ts';

/** Each question is answered by a gateway in some milliseconds. */
const ANSWER_LIMIT_MS = 5_000;
/** On a silent stream, a gateway sends the first sign that it lives after 12 s. */
const SILENCE_LIMIT_MS = 15_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/**
 * Doctor's own address, if the proxy is on this machine. A gateway that trusts the proxy at 127.0.0.1 does not trust
 * this address, so it must count doctor as this address.
 */
const OWN_LOOPBACK = '127.97.53.1';

/** The checks of this file. */
export const PROXY_CHECKS = [
  'proxy',
  'proxy-tls',
  'proxy-host',
  'proxy-websocket',
  'proxy-stream',
  'proxy-address',
  'proxy-uploads',
] as const satisfies readonly CheckId[];

export interface ProxyDeps {
  /** Without a slash at its end. */
  readonly url: string;
  /** The operator's token, with which the stream is asked for, or why there is none. */
  readonly token: string | Error;
  readonly config: Pick<Config, 'maxFileBytes'>;
}

export async function checkProxy({ url, token, config }: ProxyDeps): Promise<Finding[]> {
  let localAddress: string | null;
  let live: Answer;
  try {
    localAddress = await ownAddressFor(url);
    live = await ask(`${url}/livez?address`, { localAddress });
  } catch (error: unknown) {
    return notReached(url, messageOf(error));
  }
  const said = jsonIn(live);
  if (live.status !== 200 || said?.status !== 'ok')
    return notReached(url, `what answers is no gateway (status ${live.status})`);
  const [socket, stream, uploads] = await Promise.all([
    checkWebSocket(url),
    checkStream(url, token),
    checkUploads(url, config.maxFileBytes),
  ]);
  return [
    ok('proxy', `A gateway of version ${said.version} answers at ${url}.`),
    judgeTls({ url, ownAddress: live.ownAddress, certificate: live.certificate }, new Date()),
    ...socket,
    stream,
    judgeAddress({ seen: said.address, own: live.ownAddress, isSure: localAddress !== null }),
    uploads,
  ];
}

function notReached(url: string, why: string): Finding[] {
  const others = PROXY_CHECKS.filter((check) => check !== 'proxy');
  return [
    failure('proxyDown', url, why),
    ...others.map((check) => unknown(check, 'Not checked, because no gateway answers there.')),
  ];
}

/** {@link OWN_LOOPBACK} for a URL of this machine's loopback, else null. */
async function ownAddressFor(url: string): Promise<string | null> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  const { address } = await lookup(host, { verbatim: false });
  return address.startsWith('127.') ? OWN_LOOPBACK : null;
}

/** Enough to find out why a certificate is not renewed: Let's Encrypt's for 90 days are renewed 30 days before their end. */
const CERTIFICATE_SOON_MS = 14 * 86_400_000;

/**
 * How long before its end doctor warns of a certificate. Those for days or hours, such as Caddy's own, are renewed when
 * a third of their life is left. So doctor warns when a quarter is left.
 */
function soonMs({ from, to }: Certificate): number {
  return Math.min(CERTIFICATE_SOON_MS, (to.getTime() - from.getTime()) / 4);
}

/** Pure. @param ownAddress that of doctor on the connection @param certificate null: the connection has no TLS */
export function judgeTls(
  {
    url,
    ownAddress,
    certificate,
  }: {
    readonly url: string;
    readonly ownAddress: string;
    readonly certificate: Certificate | null;
  },
  now: Date,
): Finding {
  if (certificate === null)
    return ownAddress.startsWith('127.') || ownAddress === '::1'
      ? ok('proxy-tls', `${url} has no TLS, and is on this machine only.`)
      : warning('proxyPlain', url);
  const end = `${certificate.to.toISOString().slice(0, 16)}Z`;
  if (certificate.to.getTime() - now.getTime() < soonMs(certificate))
    return warning('proxyCertificate', url, end);
  return ok('proxy-tls', `The connection has TLS, and the certificate ends at ${end}.`);
}

/**
 * The gateway compares `Origin` with `Host` when a page opens a WebSocket. So a WebSocket with the origin of this URL is
 * refused if the proxy changes `Host`, and one without it only if the proxy passes on no WebSocket.
 */
async function checkWebSocket(url: string): Promise<Finding[]> {
  const open = (headers: Readonly<Record<string, string>>) =>
    ask(`${url}/graphql`, {
      headers: {
        ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
        'sec-websocket-key': randomBytes(16).toString('base64'),
        'sec-websocket-protocol': 'graphql-transport-ws',
        ...headers,
      },
    });
  const plain = await open({}).catch(brokenAnswer);
  if (plain.status !== 101)
    return [
      failure('proxyUpgrade', `the answer is ${plain.status}`),
      unknown('proxy-host', 'Not checked, because no WebSocket opens.'),
    ];
  const page = await open({ origin: new URL(url).origin }).catch(brokenAnswer);
  return [
    ok('proxy-websocket', 'A WebSocket opens.'),
    page.status === 101
      ? ok('proxy-host', 'The name of the host reaches the gateway.')
      : failure('proxyHost', `a page of ${new URL(url).origin} is refused with ${page.status}`),
  ];
}

/** Asks for a subscription that sends its first event at once, and then for one that has none. */
async function checkStream(url: string, token: string | Error): Promise<Finding> {
  if (token instanceof Error)
    return unknown(
      'proxy-stream',
      `Not checked: it needs the token of an operator. ${token.message}`,
    );
  const subscribe = (query: string, more: Pick<Question, 'isEnough' | 'limitMs'>) =>
    ask(`${url}/graphql`, {
      method: 'POST',
      headers: {
        ...{ accept: 'text/event-stream', 'content-type': 'application/json' },
        'x-auth-token': token,
      },
      body: JSON.stringify({ query: `subscription { ${query} }` }),
      ...more,
    }).catch(brokenAnswer);
  const first = judgeStream(
    await subscribe('poolStatus { totalWorkers }', {
      isEnough: (text) => text.includes('data: {'),
    }),
  );
  if (first.state !== 'ok') return first;
  const startedAt = performance.now();
  const silent = await subscribe('sessionOutput(userUuid: "cellhouse-doctor") { seq }', {
    ...{ isEnough: isIdle, limitMs: SILENCE_LIMIT_MS },
  });
  return judgeSilence(silent, (performance.now() - startedAt) / 1_000);
}

/** A gateway begins each stream with a comment, and sends one more whenever the stream was silent for a while. */
function isIdle(text: string): boolean {
  return /^:\s+:/.test(text);
}

/** Pure. */
export function judgeStream({ status, body }: Pick<Answer, 'status' | 'body'>): Finding {
  if (body.includes('data: {'))
    return ok('proxy-stream', 'Events of a stream arrive as they are sent.');
  if (status === 401 || status === 403)
    return unknown(
      'proxy-stream',
      'Not checked: the gateway there refuses the token of these settings.',
    );
  if (status === LATE)
    return failure(
      'proxyBuffers',
      `the first event has not come within ${ANSWER_LIMIT_MS / 1_000} s`,
    );
  return unknown('proxy-stream', `Not checked: the answer is ${status}, and no stream.`);
}

/** Pure. @param seconds how long the silent stream took */
export function judgeSilence(
  { status, body }: Pick<Answer, 'status' | 'body'>,
  seconds: number,
): Finding {
  if (!/^:[:\s]*$/.test(body))
    return unknown('proxy-stream', `Not checked: the answer is ${status}, and no silent stream.`);
  const time = seconds.toFixed(1);
  return status === LATE || isIdle(body)
    ? ok(
        'proxy-stream',
        `Events of a stream arrive as they are sent, and ${time} s of silence do not end it. Longer limits do not show.`,
      )
    : failure('proxyTimeout', time);
}

/** Pure. @param isSure whether nothing between doctor and the proxy may change the address */
export function judgeAddress({
  seen,
  own,
  isSure,
}: {
  readonly seen: unknown;
  readonly own: string;
  readonly isSure: boolean;
}): Finding {
  if (typeof seen !== 'string')
    return unknown(
      'proxy-address',
      'Not checked: the gateway there does not say which address it sees.',
    );
  if (seen === own)
    return ok('proxy-address', `The gateway sees callers by their own address (${seen}).`);
  if (own.includes(':'))
    return unknown(
      'proxy-address',
      `The gateway sees this machine as ${seen}. It must not be the proxy's address.`,
    );
  return (isSure ? failure : warning)('proxyAddress', seen, own);
}

/**
 * Announces the largest upload that the gateway takes, without a token and without sending it. The gateway refuses it
 * at once for its missing token; a proxy refuses it for its size, or waits for its content.
 */
async function checkUploads(url: string, maxFileBytes: number): Promise<Finding> {
  const answer = await ask(`${url}/files/cellhouse-doctor/upload`, {
    method: 'PUT',
    headers: { 'content-length': String(maxFileBytes), 'content-type': 'application/octet-stream' },
  }).catch(brokenAnswer);
  if (answer.status === 401)
    return ok('proxy-uploads', `An upload of ${maxFileBytes} bytes reaches the gateway at once.`);
  if (answer.status === LATE) return warning('proxyStores');
  return failure('proxyUploads', maxFileBytes, `the answer is ${answer.status}`);
}

// Requests.

interface Certificate {
  readonly from: Date;
  readonly to: Date;
}

interface Answer {
  /** A status of HTTP, or what went wrong. */
  readonly status: number | string;
  /** At most {@link MAX_ANSWER_BYTES}. */
  readonly body: string;
  /** The address that the request came from. */
  readonly ownAddress: string;
  /** Null: the connection has no TLS. */
  readonly certificate: Certificate | null;
}

interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly localAddress?: string | null;
  /** Whether no more of the answer is needed. */
  readonly isEnough?: (text: string) => boolean;
  /** How long the answer may take. {@link ANSWER_LIMIT_MS} if it is left out. */
  readonly limitMs?: number;
}

/** The status of a question that had no whole answer in time. */
export const LATE = 'none in time';

/** One request on a connection of its own, which is closed afterwards. @throws Error if the connection fails */
function ask(url: string, question: Question): Promise<Answer> {
  const { method = 'GET', headers = {}, body, localAddress, isEnough } = question;
  const { limitMs = ANSWER_LIMIT_MS } = question;
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = send(url, {
      ...{ method, headers, agent: false },
      ...(localAddress ? { localAddress } : {}),
    });
    let text = '';
    let ownAddress = '';
    let certificate: Certificate | null = null;
    const end = (status: number | string) => {
      clearTimeout(timer);
      resolve({ status, body: text, ownAddress, certificate });
      sent.destroy();
    };
    const timer = setTimeout(() => end(LATE), limitMs);
    sent.on('socket', (socket) =>
      socket.once('connect', () => {
        ownAddress = (socket.localAddress ?? '').replace(/^::ffff:/, '');
      }),
    );
    sent.on('upgrade', (response: IncomingMessage) => end(response.statusCode ?? 0));
    sent.on('response', (response) => {
      if (response.socket instanceof TLSSocket) {
        const { valid_from, valid_to } = response.socket.getPeerCertificate();
        certificate = { from: new Date(valid_from), to: new Date(valid_to) };
      }
      const status = response.statusCode ?? 0;
      response.setEncoding('utf8').on('data', (part: string) => {
        text = (text + part).slice(0, MAX_ANSWER_BYTES);
        if (isEnough?.(text)) end(status);
      });
      response.on('end', () => end(status));
      response.on('error', () => end(status));
    });
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    if (method === 'PUT') sent.flushHeaders();
    else sent.end(body);
  });
}

function brokenAnswer(error: unknown): Answer {
  return { status: messageOf(error), body: '', ownAddress: '', certificate: null };
}

function jsonIn({ body }: Answer): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' ? (parsed as Readonly<Record<string, unknown>>) : null;
  } catch {
    // Whatever is not JSON is not a gateway's answer.
    return null;
  }
}
