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

/** The methods of all of envd's services. */
const METHODS: RpcMethods = { ...FILESYSTEM_METHODS, ...WATCH_METHODS, ...PROCESS_METHODS };

/** Answers a call whose sandbox is running. @throws DomainError if the sandbox ends meanwhile */
export async function serveEnvd(sandbox: SandboxCall, deps: DoorDeps): Promise<void> {
  const { path, method, res } = sandbox.call;
  const name = rpcNameIn(path);
  if (name !== null) return await serveRpc(sandbox, deps, METHODS, name);
  if (path === '/files') return await serveFiles(sandbox);
  if (path !== '/health') return answerError(res, 404, `There is no ${path} here.`);
  if (method !== 'GET') return answerError(res, 405, 'Use GET.');
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end();
}

// The Connect protocol over HTTP/1.1, with JSON, which E2B's SDKs use for envd (https://connectrpc.com/docs/protocol).

/** The longest time that Node's timers can wait. A longer time limit is ignored. */
const MAX_TIMER_MS = 2_147_483_647;

interface RpcStreamOptions {
  readonly keepalive: object;
  readonly keepaliveMs: number;
  readonly timeoutMs: number | null;
}

interface OpenRpcStream {
  readonly out: RpcStream;
  /** Sends the last frame. Calls after the first have no effect. */
  finish(error: RpcError | null): void;
  /**
   * Stops the timers, and aborts `gone`. If the connection then ends without a last frame, the caller knows that the
   * answer is incomplete. Idempotent.
   */
  close(): void;
}

/** An answer in frames. Its status is 200 even if it ends with an error. */
function openRpcStream(
  { call: { res }, onStream }: SandboxCall,
  { keepalive, keepaliveMs, timeoutMs }: RpcStreamOptions,
): OpenRpcStream {
  const over = new AbortController();
  /**
   * The `resolve` callbacks of unfinished sends. Node does not call a write's callback after the connection has ended.
   */
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
    // If frames still wait for the caller to read them, another one is useless.
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

/**
 * Answers with one message, or with the status and the body of an error. @throws DomainError if the sandbox has ended
 */
async function serveUnary(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newErrorId'>,
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

/** The error for an unknown method. */
function unimplemented(): RpcError {
  return new RpcError('unimplemented', 'This method is not supported.');
}

/** E2B's default. */
const DEFAULT_KEEPALIVE_MS = 90_000;

/**
 * Answers in frames. The last frame has the error, even if the request itself was wrong: for any status but 200,
 * callers assume that the server lacks the method.
 * @throws DomainError if the sandbox has ended before the first frame
 */
async function serveStream(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newErrorId'>,
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
    // A process that was killed with its sandbox must not look as if it had ended normally.
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

/** Null: no limit. As in envd, 0 means no limit too. Undefined: the header is malformed. */
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
 * Answers a call of a method. As the protocol demands, another HTTP method is refused with 405, and another content
 * type with 415.
 * @param name such as `filesystem.Filesystem/Stat`
 * @throws DomainError if the sandbox has ended
 */
export async function serveRpc(
  sandbox: SandboxCall,
  deps: Pick<DoorDeps, 'logger' | 'newErrorId'>,
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
  // The connection is closed, because the rest of the body is not read.
  res.writeHead(status, { ...headers, 'Content-Length': 0, Connection: 'close' }).end();
}
