/** URLs of files that clients sign with the key of their sandbox, so that whoever has the URL needs no key. */
import { createHash } from 'node:crypto';
import { secretHash } from '../../../../domain/secretHash.ts';

/** Whether the query of a request to `/files` has a signature by this key that holds now. */
export function isSignedBy(
  method: string,
  query: URLSearchParams,
  key: string,
  now = Date.now(),
): boolean {
  if (hasExpired(query, now)) return false;
  const expiration = query.get('signature_expiration');
  const right = signatureOf({
    path: query.get('path') ?? '',
    operation: method === 'GET' || method === 'HEAD' ? 'read' : 'write',
    username: query.get('username') ?? '',
    expiration,
    key,
  });
  // Only hashes are compared, so that timing reveals nothing about it.
  return secretHash(query.get('signature') ?? '') === secretHash(right);
}

/** Whether a signature would not hold any more, whoever made it. */
export function hasExpired(query: URLSearchParams, now = Date.now()): boolean {
  const expiration = query.get('signature_expiration');
  return expiration !== null && !(Number(expiration) * 1_000 > now);
}

export interface Signed {
  readonly path: string;
  readonly operation: 'read' | 'write';
  readonly username: string;
  /** In seconds since the Unix epoch, as it was sent. Null: it never expires. */
  readonly expiration: string | null;
  readonly key: string;
}

/** As E2B's SDKs compute it. */
export function signatureOf({ path, operation, username, expiration, key }: Signed): string {
  const parts = [path, operation, username, key, ...(expiration === null ? [] : [expiration])];
  const digest = createHash('sha256').update(parts.join(':')).digest('base64');
  return `v1_${digest.replace(/=+$/, '')}`;
}
