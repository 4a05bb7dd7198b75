/**
 * How listeners learn of events and outputs.
 *
 * `position` is that of the last event that listeners got. Events reach them in two ways. This process's own commits
 * arrive by a direct call: if such a commit follows `position` directly, listeners get it immediately, without a read.
 * Anything else (a NOTIFY of a higher position, a new connection with LISTEN, the poll) only makes the feed catch up:
 * the feed reads the events after `position` and passes them on in order. Both ways skip events up to `position`, so
 * listeners get each event once and in order, even if the two ways overlap.
 */
import type { Logger } from 'pino';
import type { Client } from '../connection/client.ts';
import type { OnCommitted } from '../store/eventStore.ts';
import type { KnownEvents } from '../store/readEvents.ts';
import { createEventFeed } from './eventFeed.ts';
import { createOutputListeners } from './outputListeners.ts';
import { CHANNEL, type Notification, parseNotification } from './parseNotification.ts';
import type { WakeUps } from './wakeUps.ts';

/** The longest delay that a lost notification causes. */
const POLL_INTERVAL_MS = 1_000;
/**
 * PostgreSQL notifies within milliseconds. If a notification is still missing after so many polls, the connection is
 * half-open.
 */
const DEAF_AFTER_POLLS = 3;

export interface WakeUpsDeps {
  /** A client for this purpose alone: its connection does nothing but LISTEN. */
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
  readonly readAfter: (position: number, limit: number) => Promise<KnownEvents>;
  readonly lastPosition: () => Promise<number>;
}

export interface FedWakeUps extends WakeUps {
  /** Called by the store with what this process has committed. */
  readonly onCommitted: OnCommitted;
  /** Starts after the current last position: listeners get later events only. Resolves when notifications arrive. */
  start(): Promise<void>;
}

export function createWakeUps(deps: WakeUpsDeps): FedWakeUps {
  const { client, gatewayId, logger } = deps;
  const waitingListeners = new Set<Parameters<WakeUps['onWaiting']>[0]>();
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
    if (notification === null || notification.isOfWaiting) wakeWaiting('told');
  }

  function wakeWaiting(change: 'told' | 'possible'): void {
    for (const listener of waitingListeners) listener(change);
  }

  function wakeOutputs(notification: Notification | null): void {
    if (notification === null || notification.outputs === 'any') outputs.wakeAll();
    else outputs.wake(notification.outputs);
  }

  /** Called when LISTEN has begun. Earlier commits were not notified, so this looks for them. */
  async function listening(): Promise<void> {
    hearing.beginAnew();
    await feed.catchUp();
    hearing.heard(feed.position);
    outputs.wakeAll();
    wakeWaiting('told');
  }

  function poll(): void {
    const { position } = feed;
    if (hearing.isDeaf(position)) {
      const details = { position, heard: hearing.position };
      logger.warn(
        details,
        'Notifications from the database have stopped; opening a new connection',
      );
      hearing.beginAnew();
      client.reset();
    }
    void feed.catchUp();
    outputs.wakeAll();
    wakeWaiting('possible');
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
      // The last argument runs again after each reconnect: commits made in between were not notified.
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

/** Tells whether notifications still arrive. Every commit is notified, also those of this process. */
function createHearing() {
  let position = 0;
  /** The feed's positions at the last polls, oldest first. */
  let polled: number[] = [];
  return {
    /** The highest position in any notification so far. */
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
