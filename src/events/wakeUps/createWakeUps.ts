/**
 * How listeners hear of events and outputs.
 *
 * `position` is what has been told. This process's own commits arrive by direct call; when one follows `position` directly
 * it is told at once, with no read. Anything else (a NOTIFY of a higher position, a LISTEN that was made anew, the poll)
 * only asks to catch up: the events after `position` are read and told in order. Both ways tell an event only if it is
 * beyond `position`, so each is told once, in order, whatever overlaps.
 */
import type { Logger } from 'pino';
import type { Client } from '../connection/client.ts';
import type { OnCommitted } from '../store/eventStore.ts';
import type { KnownEvents } from '../store/readEvents.ts';
import { createEventFeed } from './eventFeed.ts';
import { createOutputListeners } from './outputListeners.ts';
import { CHANNEL, type Notification, parseNotification } from './parseNotification.ts';
import type { WakeUps } from './wakeUps.ts';

/** What a lost notification costs at most; also how long a half-open connection goes unnoticed. */
const POLL_INTERVAL_MS = 1_000;
/** PostgreSQL notifies within milliseconds; what has not come after so many polls never will: the connection is half open. */
const DEAF_AFTER_POLLS = 3;

export interface WakeUpsDeps {
  /** Of its own: its connection does nothing but LISTEN. */
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
  readonly readAfter: (position: number, limit: number) => Promise<KnownEvents>;
  readonly lastPosition: () => Promise<number>;
}

export interface FedWakeUps extends WakeUps {
  /** For the store: what this process has committed. */
  readonly onCommitted: OnCommitted;
  /** Starts at the last position there is; listeners hear what comes after it. Resolves once LISTEN is in force. */
  start(): Promise<void>;
}

export function createWakeUps(deps: WakeUpsDeps): FedWakeUps {
  const { client, gatewayId, logger } = deps;
  const waitingListeners = new Set<() => void>();
  const outputs = createOutputListeners();
  const hearing = createHearing();
  const feed = createEventFeed({ ...deps, heard: () => hearing.position });
  let timer: NodeJS.Timeout | null = null;

  function onNotification(payload: string): void {
    const notification = parseNotification(payload);
    hearing.heard(notification?.position ?? 0);
    if (notification?.gatewayId === gatewayId) return;
    if (notification === null || notification.position > feed.position) void feed.catchUp();
    wakeOutputs(notification);
    if (notification === null || notification.isOfWaiting) wakeWaiting();
  }

  function wakeWaiting(): void {
    for (const listener of waitingListeners) listener();
  }

  function wakeOutputs(notification: Notification | null): void {
    if (notification === null || notification.outputs === 'any') outputs.wakeAll();
    else outputs.wake(notification.outputs);
  }

  /** What was committed before LISTEN was in force is not notified. */
  async function listening(): Promise<void> {
    hearing.beginAnew();
    await feed.catchUp();
    hearing.heard(feed.position);
    outputs.wakeAll();
    wakeWaiting();
  }

  function poll(): void {
    const { position } = feed;
    if (hearing.isDeaf(position)) {
      const details = { position, heard: hearing.position };
      logger.warn(details, 'Nothing is notified any more; listening anew');
      hearing.beginAnew();
      client.reset();
    }
    void feed.catchUp();
    outputs.wakeAll();
    wakeWaiting();
  }

  return {
    onEvent: feed.onEvent,
    onOutput: outputs.onExecution,
    onSessionOutput: outputs.onSession,
    onWaiting: (listener) => {
      waitingListeners.add(listener);
      return () => waitingListeners.delete(listener);
    },
    onCommitted: (events, added) => {
      feed.committed(events);
      outputs.wake(added);
    },
    start: async () => {
      feed.startAt(await deps.lastPosition());
      // Called again after each reconnect: what came between was never notified.
      await client.sql.listen(CHANNEL, onNotification, () => void listening());
      timer = setInterval(poll, POLL_INTERVAL_MS);
      timer.unref();
    },
    close: async () => {
      if (timer) clearInterval(timer);
      waitingListeners.clear();
      outputs.clear();
      await feed.close();
    },
  };
}

/** Whether notifications still come: each commit is notified, this process's own as well. */
function createHearing() {
  let position = 0;
  /** Where the feed was at the last polls, oldest first. */
  let polled: number[] = [];
  return {
    /** The highest that was told of. */
    get position() {
      return position;
    },
    heard: (at: number) => {
      position = Math.max(position, at);
    },
    isDeaf: (feedPosition: number): boolean => {
      polled = [...polled, feedPosition].slice(-DEAF_AFTER_POLLS);
      const [long] = polled;
      return long !== undefined && polled.length === DEAF_AFTER_POLLS && position < long;
    },
    beginAnew: () => {
      polled = [];
    },
  };
}
