/**
 * Cancellation in the protocol's former era. A client cancels a call by a notification with the id of the call's
 * request. The notification is an HTTP request of its own, and the stream of the call stays open. Different clients use
 * the same ids. So each client gets a session id from `initialize`, which only tells the ids of different clients
 * apart.
 */
import { withAbort } from '../../async/withAbort.ts';
import type { DoorCall } from '../openDoor.ts';

export const SESSION_HEADER = 'mcp-session-id';

export interface Cancelling {
  /** Calls `work` for a message. Its signal is aborted when the client has gone, or has cancelled the message. */
  during<T>(call: DoorCall, message: unknown, work: (gone: AbortSignal) => Promise<T>): Promise<T>;
}

type Message = Readonly<Record<string, unknown>>;

export function createCancelling(): Cancelling {
  const running = new Map<string, AbortController>();
  return {
    during: async (call, message, work) => {
      const id = isObject(message) ? cancelledBy(message) : undefined;
      if (id !== undefined) running.get(keyOf(call, id) ?? '')?.abort();
      const key = isObject(message) && 'method' in message ? keyOf(call, message.id) : null;
      if (key === null) return await work(call.gone);
      return await withAbort(call.gone, async (own) => {
        running.set(key, own);
        try {
          return await work(own.signal);
        } finally {
          if (running.get(key) === own) running.delete(key);
        }
      });
    },
  };
}

/** Null: the client has no session id, or the message no id. */
function keyOf({ req, principal }: DoorCall, id: unknown): string | null {
  const session = req.headers[SESSION_HEADER];
  if (typeof session !== 'string' || (typeof id !== 'string' && typeof id !== 'number'))
    return null;
  return JSON.stringify([principal.tokenId, session, id]);
}

/** The id of the request that the message cancels. */
function cancelledBy({ method, params }: Message): unknown {
  return method === 'notifications/cancelled' && isObject(params) ? params.requestId : undefined;
}

function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null;
}
