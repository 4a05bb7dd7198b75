/** Carries out the requests of one connection: one after the other, in the order of arrival, or concurrently. */
import type { ContextOffset } from '../../domain/context.ts';
import type { FollowedContext } from '../../service/output/followContext.ts';
import type { DoorSocket } from '../openDoor.ts';

/** How many requests may wait, and how much memory they may take. A notebook sends one cell at a time, or all cells. */
const MAX_WAITING = 2_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** How many urgent requests, such as interrupts and inputs, may run at once. A client waits for the effect of each. */
const MAX_URGENT = 64;

interface RequestQueue {
  /** Returns false if too many requests wait already. Then this request is dropped. */
  add(bytes: number, run: () => Promise<void>): boolean;
  /** Like `add`, for a request that must not wait for the others. It runs concurrently with them. */
  addUrgent(bytes: number, run: () => Promise<void>): boolean;
}

/** @param first must settle before any request runs. Neither it nor a `run` may reject. */
export function createRequestQueue(first: Promise<unknown>): RequestQueue {
  let waiting = 0;
  let urgent = 0;
  let bytesOfAll = 0;
  let last: Promise<unknown> = first;
  return {
    add: (bytes, run) => {
      if (waiting >= MAX_WAITING || bytesOfAll + bytes > MAX_WAITING_BYTES) return false;
      waiting += 1;
      bytesOfAll += bytes;
      last = last.then(run).then(() => {
        waiting -= 1;
        bytesOfAll -= bytes;
      });
      return true;
    },
    addUrgent: (bytes, run) => {
      if (urgent >= MAX_URGENT || bytesOfAll + bytes > MAX_WAITING_BYTES) return false;
      urgent += 1;
      bytesOfAll += bytes;
      void first.then(run).then(() => {
        urgent -= 1;
        bytesOfAll -= bytes;
      });
      return true;
    },
  };
}

/**
 * The pause before a client is asked again whether all messages have arrived. If the client reconnects, messages that
 * arrived after its last answer may be sent again.
 */
const INTERVAL_MS = 100;

interface Acknowledged {
  /** From now on, tells the followed context each offset that the client has reached. */
  tell(followed: Pick<FollowedContext, 'reached' | 'recorded'>): void;
  /** Everything up to this offset is sent. */
  sent(offset: ContextOffset): void;
  /** Asks the client once more, and resolves when its answer is recorded. */
  settle(): Promise<void>;
}

/** Finds out how far the client of a connection has come. The client is asked only after something was sent. */
export function createAcknowledged(socket: DoorSocket): Acknowledged {
  let reader: Pick<FollowedContext, 'reached' | 'recorded'> | null = null;
  /** The last offset that was sent, unless the client has been asked about it. */
  let last: ContextOffset | null = null;
  let asking: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;

  async function ask(): Promise<void> {
    const offset = last;
    last = null;
    if (offset !== null && (await socket.arrived())) reader?.reached(offset);
  }

  function askSoon(): void {
    if (asking !== null || last === null || reader === null) return;
    asking = ask();
    void asking.then(() => {
      timer = setTimeout(() => {
        asking = null;
        askSoon();
      }, INTERVAL_MS);
    });
  }

  socket.onClose(() => clearTimeout(timer));
  return {
    tell: (followed) => {
      reader = followed;
    },
    sent: (offset) => {
      // A closing socket sends nothing more.
      if (!socket.isOpen) return;
      last = offset;
      askSoon();
    },
    settle: async () => {
      if (reader === null) return;
      await asking;
      await ask();
      await reader.recorded();
    },
  };
}
