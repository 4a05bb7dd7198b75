/**
 * The Connect protocol over HTTP/1.1, with JSON: what the SDKs of E2B speak to envd
 * (https://connectrpc.com/docs/protocol).
 */
import type { ServerResponse } from 'node:http';
import type { DoorDeps } from '../../../openDoor.ts';
import type { SandboxCall } from '../../surface.ts';
import type { RpcMethod, RpcMethods } from './method.ts';
import { serveStream } from './serveStream.ts';
import { serveUnary } from './serveUnary.ts';

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
