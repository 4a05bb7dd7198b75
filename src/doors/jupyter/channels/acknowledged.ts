import type { ContextPlace } from '../../../domain/contextPlace.ts';
import type { FollowedContext } from '../../../service/output/followContext.ts';
import type { DoorSocket } from '../../doorSocket.ts';

/** Between two questions to a client whether all has arrived. What arrived after the last answer may be sent again. */
const INTERVAL_MS = 100;

export interface Acknowledged {
  /** From now on, each place that the client has reached is told to its context. */
  tell(followed: Pick<FollowedContext, 'reached' | 'recorded'>): void;
  /** Everything up to this place is sent. */
  sent(place: ContextPlace): void;
  /** Resolves when it is recorded how much of what was sent has arrived. */
  settle(): Promise<void>;
}

/** How far the client of a connection has come. While nothing is sent, it is not asked. */
export function createAcknowledged(socket: DoorSocket): Acknowledged {
  let reader: Pick<FollowedContext, 'reached' | 'recorded'> | null = null;
  /** What the client has not been asked for. */
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
      // What is sent to a socket that closes does not go out.
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
