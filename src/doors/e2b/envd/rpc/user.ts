import { RpcError } from './rpcError.ts';

/** The only user of a worker for whom a caller can act. */
const USER = 'user';

/**
 * Callers may name the user that they act for, as the name of HTTP's Basic authentication.
 * @param authorization the header
 * @throws RpcError `unauthenticated` for any other user than the worker's
 */
export function requireUser(authorization: string | undefined): void {
  const [, encoded] = /^basic +(\S*)$/i.exec(authorization ?? '') ?? [];
  if (encoded === undefined) return;
  const [name = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1);
  if (!isUser(name)) throw new RpcError('unauthenticated', 'invalid username');
}

/** Whether this is the worker's user, or nobody in particular. */
export function isUser(name: string | null): boolean {
  return name === null || name === '' || name === USER;
}
