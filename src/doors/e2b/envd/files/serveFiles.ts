/** `/files`: contents of files, whole, of any size, and streamed. */
import type { SandboxCall } from '../../surface.ts';
import { isUser } from '../rpc/user.ts';
import { fileRefusalOf } from './fileRefusal.ts';
import { receiveFiles } from './receiveFiles.ts';
import { sandboxPath } from './sandboxPath.ts';

/** @throws a DomainError, if the sandbox is gone; after the headers, if the rest of a file cannot be sent */
export async function serveFiles(sandbox: SandboxCall): Promise<void> {
  const { call, userUuid } = sandbox;
  const { method, query, refuse, res, sendFile } = call;
  if (!isUser(query.get('username'))) {
    return refuse({ status: 401, code: 'UNAUTHENTICATED', message: 'invalid username' });
  }
  try {
    if (method === 'GET') await sendFile({ userUuid, path: sandboxPath(query.get('path') ?? '') });
    else if (method === 'POST') await receiveFiles(sandbox);
    else refuse(METHOD_NOT_ALLOWED);
  } catch (error: unknown) {
    const refusal = fileRefusalOf(error);
    if (refusal === null || res.headersSent || (await sandbox.hasEnded())) throw error;
    refuse(refusal);
  }
}

const METHOD_NOT_ALLOWED = {
  status: 405,
  code: 'BAD_USER_INPUT',
  message: 'Use GET or POST.',
  headers: { Allow: 'GET, POST' },
};
