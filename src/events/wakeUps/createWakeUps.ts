/**
 * How listeners hear of events and outputs.
 *
 * `position` is what has been told. This process's own commits arrive by direct call; when one follows `position` directly
 * it is told at once, with no read. Anything else (a NOTIFY of a higher position, a LISTEN that was made anew, the poll)
 * only asks to catch up: the events after `position` are read and told in order. Both ways tell an event only if it is
 * beyond `position`, so each is told once, in order, whatever overlaps.
 */
import type { Logger } from 'pino';
import type { RecordedEvent } from '../../domain/events.ts';
import type { Client } from '../connection/client.ts';
import type { OnCommitted, OutputsAdded } from '../store/eventStore.ts';
import { createOutputListeners } from './outputListeners.ts';
import { CHANNEL, type Notification, parseNotification } from './parseNotification.ts';
import type { WakeUps } from './wakeUps.ts';

/** What a lost notification costs at most; also how long a half-open connection goes unnoticed. */
const POLL_INTERVAL_MS = 1_000;
/** Catching up goes on until there is no more. */
const PAGE_EVENTS = 200;
/** PostgreSQL notifies within milliseconds; what has not come after so many polls never will: the connection is half open. */
const DEAF_AFTER_POLLS = 3;

export interface WakeUpsDeps {
  /** Of its own: its connection does nothing but LISTEN. */
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
  readonly readAfter: (position: number, limit: number) => Promise<RecordedEvent[]>;
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
  const listeners = new Set<(event: RecordedEvent) => void>();
  const waitingListeners = new Set<() => void>();
  const outputs = createOutputListeners();
  let position = 0;
  let catchingUp: Promise<void> | null = null;
  let isBehind = false;
  /** The highest position that a notification told of; and where `position` was at the last polls, oldest first. */
  let heard = 0;
  let polled: number[] = [];
  let isClosed = false;
  let timer: NodeJS.Timeout | null = null;

  function tell(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      if (event.position <= position) continue;
      position = event.position;
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error: unknown) {
          logger.error({ err: error, position }, 'A listener for events failed');
        }
      }
    }
  }

  /** One reader at a time; whoever asks meanwhile makes it look once more. Resolves when all there is has been told. */
  function catchUp(): Promise<void> {
    isBehind = true;
    catchingUp ??= readOn().finally(() => {
      catchingUp = null;
    });
    return catchingUp;
  }

  async function readOn(): Promise<void> {
    try {
      while (isBehind && !isClosed) {
        isBehind = false;
        const events = await deps.readAfter(position, PAGE_EVENTS);
        tell(events);
        // A page may be short and yet not the last; what was notified is a sure end.
        isBehind ||= events.length > 0 && position !== heard;
      }
    } catch (error: unknown) {
      // The poll asks again.
      logger.warn({ err: error, position }, 'Events could not be read; trying again');
    }
  }

  function onNotification(payload: string): void {
    const notification = parseNotification(payload);
    heard = Math.max(heard, notification?.position ?? 0);
    if (notification?.gatewayId === gatewayId) return;
    if (notification === null || notification.position > position) void catchUp();
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

  /** Each commit is notified, this process's own as well. */
  function checkHearing(): void {
    polled = [...polled, position].slice(-DEAF_AFTER_POLLS);
    const [long] = polled;
    if (long === undefined || polled.length < DEAF_AFTER_POLLS || heard >= long) return;
    logger.warn({ position, heard }, 'Nothing is notified any more; listening anew');
    polled = [];
    client.reset();
  }

  /** What was committed before LISTEN was in force is not notified. */
  async function listening(): Promise<void> {
    polled = [];
    await catchUp();
    heard = Math.max(heard, position);
    outputs.wakeAll();
    wakeWaiting();
  }

  function poll(): void {
    checkHearing();
    void catchUp();
    outputs.wakeAll();
    wakeWaiting();
  }

  return {
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onOutput: outputs.onExecution,
    onSessionOutput: outputs.onSession,
    onWaiting: (listener) => {
      waitingListeners.add(listener);
      return () => waitingListeners.delete(listener);
    },
    onCommitted: (events: readonly RecordedEvent[], added: OutputsAdded) => {
      const first = events[0];
      if (first !== undefined) {
        if (first.position === position + 1) tell(events);
        else if (first.position > position) void catchUp();
      }
      outputs.wake(added);
    },
    start: async () => {
      position = await deps.lastPosition();
      // Called again after each reconnect: what came between was never notified.
      await client.sql.listen(CHANNEL, onNotification, () => void listening());
      timer = setInterval(poll, POLL_INTERVAL_MS);
      timer.unref();
    },
    close: async () => {
      isClosed = true;
      if (timer) clearInterval(timer);
      listeners.clear();
      waitingListeners.clear();
      outputs.clear();
      await catchingUp;
    },
  };
}
