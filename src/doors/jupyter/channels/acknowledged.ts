import type { ContextPlace } from '../../../domain/contextPlace.ts';
import type { FollowedContext } from '../../../service/output/followContext.ts';
import type { DoorSocket } from '../../doorSocket.ts';

/**
 * The pause before a client is asked again whether all has arrived. What arrived after its last answer may be sent
 * again.
 */
const INTERVAL_MS = 100;

export interface Acknowledged {
  /** From now on, reports each place that the client has reached to the followed context. */
  tell(followed: Pick<FollowedContext, 'reached' | 'recorded'>): void;
  /** Everything up to this place is sent. */
  sent(place: ContextPlace): void;
  /** Asks the client once more, and resolves when its answer is recorded. */
  settle(): Promise<void>;
}

/** Finds out how far the client of a connection has come. The client is asked only after something was sent. */
export function createAcknowledged(socket: DoorSocket): Acknowledged {
  let reader: Pick<FollowedContext, 'reached' | 'recorded'> | null = null;
  /** The last place that was sent, unless the client has been asked about it. */
  let last: ContextPlace | null = null;
  let asking: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;

  async function ask(): Promise<void> {
    const place = last;
    last = null;
    if (place !== null && (await socket.arrived())) reader?.reached(place);
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
    sent: (place) => {
      // A closing socket sends nothing more.
      if (!socket.isOpen) return;
      last = place;
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
