/** The server for files and processes: port 49983 of a sandbox. E2B calls it envd. */
import type { DoorDeps } from '../../openDoor.ts';
import { answerError } from '../answer.ts';
import { rpcNameIn, type SandboxCall } from '../sandbox.ts';
import { serveFiles } from './files.ts';
import { FILESYSTEM_METHODS, WATCH_METHODS } from './filesystem.ts';
import { PROCESS_METHODS } from './process.ts';
import type { RpcMethods } from './rpc.ts';
import { serveRpc } from './serveRpc.ts';

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
