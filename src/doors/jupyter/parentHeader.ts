/**
 * Finds the request that an execution answers. Every message of the execution names that request, at every gateway and
 * to every client. So the request is kept in the execution's idempotency key. Because of the key, a repeated request
 * does not run its code twice.
 */

import { isJsonObject } from '../../domain/exactJson.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Header } from './wire.ts';

/** An idempotency key with this prefix was made by this door. */
const KEY_PREFIX = 'jupyter:';
const KEY_ENTRIES = 3;
export const PROTOCOL_VERSION = '5.3';

/** The fields that identify a request. */
type Asker = Pick<Header, 'msg_id' | 'session'>;

/** The kernel is in the key, because a client may send requests with the same header to several kernels of one user. */
export function keyOf({ msg_id, session }: Asker, kernelId: string): string {
  return KEY_PREFIX + JSON.stringify([session, msg_id, kernelId]);
}

/** The request of a Jupyter client that the execution answers. Null: it came by another door. */
export function askerOf({ idempotencyKey: key }: Pick<Execution, 'idempotencyKey'>): Asker | null {
  if (!key?.startsWith(KEY_PREFIX)) return null;
  const entries = entriesIn(key.slice(KEY_PREFIX.length));
  if (entries.length !== KEY_ENTRIES) return null;
  const [session, msg_id] = entries;
  if (typeof session !== 'string' || typeof msg_id !== 'string') return null;
  return { msg_id, session };
}

/** The text may be anything, because callers choose idempotency keys themselves. */
function entriesIn(json: string): unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && !isJsonObject(value) ? value : [];
  } catch {
    return [];
  }
}

/**
 * The parent header of the execution's messages. If the execution came by another door, the header names no request
 * that a client has sent.
 */
export function parentHeaderOf(
  execution: Pick<Execution, 'id' | 'idempotencyKey' | 'requestedAt'>,
): Header {
  const asker = askerOf(execution) ?? { msg_id: execution.id, session: '' };
  return {
    ...asker,
    msg_type: 'execute_request',
    username: '',
    date: execution.requestedAt.toISOString(),
    version: PROTOCOL_VERSION,
  };
}
