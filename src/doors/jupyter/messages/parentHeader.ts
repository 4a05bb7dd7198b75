/**
 * Which request an execution answers. Every message of the execution names it, at every gateway and to every client: so
 * it is kept in the execution's idempotency key, which also makes a repeated request run nothing twice.
 */
import type { Execution } from '../../../domain/execution.ts';
import { isFields } from '../../shared/fields.ts';
import type { Header } from '../wire/message.ts';

/** Says that the rest of an idempotency key is this door's. */
const KEY_PREFIX = 'jupyter:';
const KEY_ENTRIES = 3;
export const PROTOCOL_VERSION = '5.3';

/** What tells one request from another. */
export type Asker = Pick<Header, 'msg_id' | 'session'>;

/** Kernels may belong to the same user, and a client may send a request with the same header to each of them. */
export function keyOf({ msg_id, session }: Asker, kernelId: string): string {
  return KEY_PREFIX + JSON.stringify([session, msg_id, kernelId]);
}

/** The request of a Jupyter client that the execution answers. Null: it came by another door. */
export function askerOf({ idempotencyKey: key }: Pick<Execution, 'idempotencyKey'>): Asker | null {
  if (!key?.startsWith(KEY_PREFIX)) return null;
  const entries = entriesIn(key.slice(KEY_PREFIX.length));
  // Before there was a kernel in the key, there were two.
  if (entries.length > KEY_ENTRIES) return null;
  const [session, msg_id] = entries;
  if (typeof session !== 'string' || typeof msg_id !== 'string') return null;
  return { msg_id, session };
}

/** Anybody may use any key for an execution. */
function entriesIn(json: string): unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && !isFields(value) ? value : [];
  } catch {
    return [];
  }
}

/** The parent header of the execution's messages. One that came by another door is a request of nobody here. */
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
