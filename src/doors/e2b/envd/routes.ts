/** The server for files and processes: port 49983 of a sandbox. E2B calls it envd. */

import type { ServerResponse } from 'node:http';
import type { DoorDeps } from '../../openDoor.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import { answerError, rpcNameIn, type SandboxCall } from '../sandbox.ts';
import { serveFiles } from './files.ts';
import { FILESYSTEM_METHODS, WATCH_METHODS } from './filesystem.ts';
import { PROCESS_METHODS } from './process.ts';
import {
  compressed,
  endFrame,
  errorBody,
  goneOf,
  messageFrame,
  messageIn,
  onlyFrameIn,
  RPC_STATUSES,
  RpcError,
  type RpcMethod,
  type RpcMethods,
  type RpcStream,
  requireUser,
  rpcErrorOf,
  type ServerStream,
  type Unary,
} from './rpc.ts';

/** Each service brings its own rows. */
const METHODS: RpcMethods = { ...FILESYSTEM_METHODS, ...WATCH_METHODS, ...PROCESS_METHODS };

/** Answers a call whose sandbox is alive. @throws a DomainError, if the sandbox is gone meanwhile */
export async function serveEnvd(sandbox: SandboxCall, deps: DoorDeps): Promise<void> {
  const { path, method, res } = sandbox.call;
  const name = rpcNameIn(path);
  if (name !== null) return await serveRpc(sandbox, deps, METHODS, name);
  if (path === '/files') return await serveFiles(sandbox);
  if (path !== '/health') return answerError(res, 404, `There is no ${path} here.`);
  if (method !== 'GET') return answerError(res, 405, 'Use GET.');
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end();
}

// The Connect protocol over HTTP/1.1, with JSON: what the SDKs of E2B speak to envd
// (https://connectrpc.com/docs/protocol).

/** Longer limits are none: Node's timers cannot wait for them. */
const MAX_TIMER_MS = 2_147_483_647;

interface RpcStreamOptions {
  readonly keepalive: object;
  readonly keepaliveMs: number;
  readonly timeoutMs: number | null;
}

interface OpenRpcStream {
  readonly out: RpcStream;
  /** Sends the last frame, once. */
  finish(error: RpcError | null): void;
  /** Without a last frame, the caller knows that the answer is not complete. Idempotent. */
  close(): void;
}

/** An answer in frames. The status is 200, also if it ends with an error. */
function openRpcStream(
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

const NO_STORE = { 'Cache-Control': 'no-store' };

/** Answers with one message, or with the status and the body of an error. @throws a DomainError, if the sandbox is gone */
async function serveUnary(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newId'>,
  method: Unary | undefined,
): Promise<void> {
  const { req, res, readBytes } = sandbox.call;
  const body = await readBytes();
  try {
    requireUser(req.headers.authorization);
    if ((req.headers['content-encoding'] ?? 'identity') !== 'identity') throw compressed();
    if (!method) throw unimplemented();
    answerJson(res, 200, await method.handle(sandbox, messageIn(body)), NO_STORE);
  } catch (error: unknown) {
    const gone = await goneOf(sandbox, error);
    if (gone) throw gone;
    const refusal = rpcErrorOf(error, deps);
    answerJson(res, RPC_STATUSES[refusal.code], errorBody(refusal), NO_STORE);
  }
}

/** The error for a method that nothing here has. */
function unimplemented(): RpcError {
  return new RpcError('unimplemented', 'This method is not supported.');
}

/** E2B's own. */
const DEFAULT_KEEPALIVE_MS = 90_000;

/**
 * Answers in frames. An error is in the last one, also an error of the request: callers take another status than 200 for
 * a server without this method.
 * @throws a DomainError, if the sandbox is gone before the first frame
 */
async function serveStream(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newId'>,
  method: ServerStream | undefined,
): Promise<void> {
  const { req, res, readBytes } = sandbox.call;
  const body = await readBytes();
  const timeoutMs = timeoutOf(req.headers['connect-timeout-ms']);
  const stream = openRpcStream(sandbox, {
    keepalive: method?.keepalive ?? {},
    keepaliveMs: keepaliveOf(req.headers['keepalive-ping-interval']),
    timeoutMs: timeoutMs ?? null,
  });
  try {
    requireUser(req.headers.authorization);
    if ((req.headers['connect-content-encoding'] ?? 'identity') !== 'identity') throw compressed();
    if (timeoutMs === undefined) throw badTimeout();
    if (!method) throw unimplemented();
    await method.handle(sandbox, messageIn(onlyFrameIn(body)), stream.out);
    // Whoever follows a process that was killed with its sandbox must not take it for ended.
    if (await sandbox.hasEnded()) res.destroy();
    else stream.finish(null);
  } catch (error: unknown) {
    const gone = await goneOf(sandbox, error);
    if (!gone) stream.finish(rpcErrorOf(error, deps));
    else if (res.headersSent) res.destroy();
    else throw gone;
  } finally {
    stream.close();
  }
}

/** Null: no limit, which envd also takes 0 for. Undefined: not as the protocol has it. */
function timeoutOf(header: string | string[] | undefined): number | null | undefined {
  if (header === undefined) return null;
  return /^\d{1,10}$/.test(String(header)) ? Number(header) || null : undefined;
}

function badTimeout(): RpcError {
  return new RpcError('invalid_argument', 'Connect-Timeout-Ms must be an integer of milliseconds.');
}

function keepaliveOf(header: string | string[] | undefined): number {
  const seconds = /^\d{1,6}$/.test(String(header)) ? Number(header) : 0;
  return seconds > 0 ? seconds * 1_000 : DEFAULT_KEEPALIVE_MS;
}

const KINDS: Readonly<Record<string, RpcMethod['kind']>> = {
  'application/json': 'unary',
  'application/connect+json': 'stream',
};

/**
 * Answers a call of a method. What is no such call is refused with 405 or 415, as the protocol has it.
 * @param name such as `filesystem.Filesystem/Stat`
 * @throws a DomainError, if the sandbox is gone
 */
export async function serveRpc(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newId'>,
  methods: RpcMethods,
  name: string,
): Promise<void> {
  const { req, res, method: verb } = sandbox.call;
  if (verb !== 'POST') return refuse(res, 405, { Allow: 'POST' });
  const [type = ''] = (req.headers['content-type'] ?? '').split(';', 1);
  const kind = KINDS[type.trim().toLowerCase()];
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (kind === undefined || (method && method.kind !== kind)) {
    return refuse(res, 415, { 'Accept-Post': Object.keys(KINDS).join(', ') });
  }
  if (kind === 'stream') {
    return serveStream(sandbox, deps, method?.kind === 'stream' ? method : undefined);
  }
  return serveUnary(sandbox, deps, method?.kind === 'unary' ? method : undefined);
}

function refuse(res: ServerResponse, status: number, headers: Readonly<Record<string, string>>) {
  // The rest of the body is not read.
  res.writeHead(status, { ...headers, 'Content-Length': 0, Connection: 'close' }).end();
}
