/**
 * Tells listeners that something happened, on this gateway or another. The data is always in the tables: a wake-up only
 * says "look again". A lost wake-up causes a delay of at most one poll interval.
 */

import type { Logger } from 'pino';
import type { RecordedEvent } from '../../domain/events.ts';
import type { ExecutionId, SessionId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { OnCommitted, OutputsAdded } from '../store/eventStore.ts';
import type { HistoryMark, KnownEvents } from '../store/readEvents.ts';

export interface WakeUps {
  /** Calls `listener` with every event from now on, each once, in position order. Listeners must not throw or block. */
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /** Calls `wake` when outputs of the execution may have been added (by any gateway), and at each poll. */
  onOutput(executionId: ExecutionId, wake: () => void): () => void;
  /** Calls `wake` when outputs of any execution of the session may have been added, and at each poll. */
  onSessionOutput(sessionId: SessionId, wake: () => void): () => void;
  /**
   * Calls `wake` when the calls that wait at other gateways have changed (`changed`). It also calls it at each poll
   * (`possible`), because a notification can be lost, and a gateway can have died.
   */
  onWaiting(wake: (change: 'changed' | 'possible') => void): () => void;
  close(): Promise<void>;
}

/** The same name as in `cellhouse_commit`. */
export const CHANNEL = 'cellhouse';

/** A notification from a gateway to all gateways. */
interface Notification {
  readonly gatewayId: string;
  /** Position of the commit's last event; 0 if it had no events. */
  readonly position: number;
  /** Whose outputs grew. `any`: there were too many to name. */
  readonly outputs: OutputsAdded | 'any';
  /** Whether the calls that wait for a worker at that gateway have changed. */
  readonly isOfWaiting: boolean;
}

/** Null for a payload that no gateway has made. The caller then wakes every listener. */
export function parseNotification(payload: string): Notification | null {
  try {
    const parsed: unknown = JSON.parse(payload);
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { g, p, x, s, w } = parsed as Record<string, unknown>;
    if (typeof g !== 'string' || typeof p !== 'number') return null;
    const isNamed = isTexts(x) && isTexts(s);
    return {
      gatewayId: g,
      position: p,
      outputs: isNamed ? { executionIds: x, sessionIds: s } : 'any',
      isOfWaiting: w === true,
    };
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

type Wake = () => void;

/** The listeners for outputs, by execution and by session. An entry exists only while somebody listens. */
function createOutputListeners() {
  const byExecution = new Map<string, Set<Wake>>();
  const bySession = new Map<string, Set<Wake>>();
  return {
    onExecution: (id: string, wake: Wake) => add(byExecution, id, wake),
    onSession: (id: string, wake: Wake) => add(bySession, id, wake),
    wake: ({ executionIds, sessionIds }: OutputsAdded) => {
      for (const id of new Set(executionIds)) callAll(byExecution.get(id));
      for (const id of new Set(sessionIds)) callAll(bySession.get(id));
    },
    wakeAll: () => {
      for (const wakes of [...byExecution.values(), ...bySession.values()]) callAll(wakes);
    },
    clear: () => {
      byExecution.clear();
      bySession.clear();
    },
  };
}

function add(map: Map<string, Set<Wake>>, id: string, wake: Wake): () => void {
  // A new function for each call, so that adding the same listener twice gives two entries.
  const own: Wake = () => wake();
  const wakes = map.get(id) ?? new Set<Wake>();
  map.set(id, wakes.add(own));
  return () => {
    wakes.delete(own);
    if (wakes.size === 0 && map.get(id) === wakes) map.delete(id);
  };
}

function callAll(wakes: ReadonlySet<Wake> | undefined): void {
  // A copy, because listeners may be added or removed during the calls.
  for (const wake of [...(wakes ?? [])]) wake();
}

/** Events in one read. Catching up reads page after page until no event is left. */
const PAGE_EVENTS = 200;

interface EventFeedDeps {
  readonly logger: Logger;
  readonly readAfter: (mark: HistoryMark, limit: number) => Promise<KnownEvents>;
  /** Called when the event of `mark`, which was passed on, is not in the database any more. */
  readonly onHistoryLost: (mark: HistoryMark) => void;
  /** The highest position in any notification so far. Catching up may stop there without another read. */
  readonly heard: () => number;
}

/** Passes each event to its listeners once and in the order of positions, whichever way the event arrives. */
interface EventFeed {
  /** The last event that was passed on. */
  readonly mark: HistoryMark;
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /**
   * Takes events that this process has committed, in order. They are passed on immediately if they follow the last event
   * that was passed on.
   */
  committed(events: readonly RecordedEvent[], previousEventId: string | null | undefined): void;
  /**
   * Reads the missing events. Resolves when all events have been passed on. Only one read runs at a time: a call during
   * a read causes another read after it.
   */
  catchUp(): Promise<void>;
  startAt(mark: HistoryMark): void;
  close(): Promise<void>;
}

function createEventFeed(deps: EventFeedDeps): EventFeed {
  const { logger, readAfter, heard } = deps;
  const listeners = new Set<(event: RecordedEvent) => void>();
  let mark: HistoryMark = { position: 0, eventId: null };
  let catchingUp: Promise<void> | null = null;
  let isBehind = false;
  let isClosed = false;

  function tell(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      if (event.position <= mark.position) continue;
      mark = { position: event.position, eventId: event.metadata.eventId };
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error: unknown) {
          const { position } = mark;
          logger.error({ err: error, position }, 'A listener failed on an event');
        }
      }
    }
  }

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
        const from = mark;
        const { events, last, isWhole } = await readAfter(from, PAGE_EVENTS);
        if (!isWhole) return deps.onHistoryLost(from);
        tell(events);
        if (last === null) continue;
        if (last.position > mark.position) mark = last;
        // A page may be short although more follow. Only an empty page or the notified position is a sure end.
        isBehind ||= mark.position !== heard();
      }
    } catch (error: unknown) {
      // The next poll starts another attempt.
      const { position } = mark;
      logger.warn({ err: error, position }, 'Events could not be read; trying again');
    }
  }

  return {
    get mark() {
      return mark;
    },
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    committed: (events, previousEventId) => {
      const [first] = events;
      if (first === undefined || first.position <= mark.position) return;
      if (previousEventId === mark.eventId) tell(events);
      else void catchUp();
    },
    catchUp,
    startAt: (start) => {
      mark = start;
    },
    close: async () => {
      isClosed = true;
      listeners.clear();
      await catchingUp;
    },
  };
}

/** The longest delay that a lost notification causes. */
const POLL_INTERVAL_MS = 1_000;
/**
 * PostgreSQL notifies within milliseconds. If a notification is still missing after so many polls, the connection is
 * half-open.
 */
const DEAF_AFTER_POLLS = 3;

interface WakeUpsDeps {
  /** A client for this purpose alone: its connection does nothing but LISTEN. */
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
  readonly readAfter: EventFeedDeps['readAfter'];
  readonly lastMark: () => Promise<HistoryMark>;
  readonly reads: Client;
  /** The store's client, which has one connection. */
  readonly commits: Client;
  /** Whether the database still has what the feed has passed on. */
  readonly hasHistoryUpTo: (client: Client, mark: HistoryMark) => Promise<boolean>;
}

export interface FedWakeUps extends WakeUps {
  /** Called by the store with the commits of this process. */
  readonly onCommitted: OnCommitted;
  /** Starts after the current last position: listeners get later events only. Resolves once LISTEN is active. */
  start(): Promise<void>;
  /** Resolves with a message for the operator if the database has lost events that listeners have got. */
  readonly historyLost: Promise<string>;
  /**
   * Whether the database still has what this gateway has seen and committed. Asked before each commit: nothing may be
   * written to a database that has lost events, where sessions of this gateway seem idle or absent. A query is made only
   * if the connection for commits is new.
   */
  hasHistory(): Promise<boolean>;
}

/**
 * How listeners learn of events and outputs.
 *
 * `position` is the position of the last event that listeners got (the feed's `mark`). Events reach listeners in two
 * ways. This process's own commits arrive by a direct call: if such a commit follows `position` directly, listeners get
 * it immediately, without a read. Anything else (a NOTIFY of a higher position, a new connection with LISTEN, the poll)
 * only makes the feed catch up: the feed reads the events after `position` and passes them on in order. Both ways skip
 * events up to `position`, so listeners get each event once and in order, even if the two ways overlap.
 *
 * Positions are only unique as long as the database keeps its history. If it is replaced by an older copy of itself,
 * the next events get positions that listeners have passed. So each step that moves `position`, and each poll, first
 * compares the id of the event at `position`. If the database has another event there, `historyLost` resolves, and the
 * store commits no more.
 */
export function createWakeUps(deps: WakeUpsDeps): FedWakeUps {
  const { client, gatewayId, logger } = deps;
  const waitingListeners = new Set<Parameters<WakeUps['onWaiting']>[0]>();
  const outputs = createOutputListeners();
  const hearing = createHearing();
  let reportLoss = (_words: string) => {};
  const historyLost = new Promise<string>((resolve) => {
    reportLoss = resolve;
  });
  let isHistoryLost = false;
  const onHistoryLost = (mark: HistoryMark) => {
    isHistoryLost = true;
    reportLoss(lossUpTo(mark));
  };
  /** The connection for commits that led to the whole history. */
  let askedConnection: object | null = null;
  /** The last event that this gateway has committed. The feed may not have reached it yet. */
  let own: HistoryMark = { position: 0, eventId: null };
  const feed = createEventFeed({ ...deps, onHistoryLost, heard: () => hearing.position });
  let timer: NodeJS.Timeout | null = null;

  function onNotification(payload: string): void {
    const notification = parseNotification(payload);
    hearing.heard(notification?.position ?? 0);
    if (notification?.gatewayId === gatewayId) return;
    if (notification === null || notification.position > feed.mark.position) void feed.catchUp();
    wakeOutputs(notification);
    if (notification === null || notification.isOfWaiting) wakeWaiting('changed');
  }

  function wakeWaiting(change: 'changed' | 'possible'): void {
    for (const listener of waitingListeners) listener(change);
  }

  function wakeOutputs(notification: Notification | null): void {
    if (notification === null || notification.outputs === 'any') outputs.wakeAll();
    else outputs.wake(notification.outputs);
  }

  /** Called when LISTEN has begun. No notification of an earlier commit arrives, so this reads all missing events. */
  async function listening(): Promise<void> {
    hearing.beginAnew();
    await checkHistory();
    await feed.catchUp();
    hearing.heard(feed.mark.position);
    outputs.wakeAll();
    wakeWaiting('changed');
  }

  /**
   * Any connection may have been made anew, and lead to an older copy of the database. There, commits of this process
   * get positions that the feed has passed, so the feed alone would not notice them.
   */
  async function checkHistory(): Promise<void> {
    try {
      await askFor(deps.reads);
    } catch (error: unknown) {
      // The next poll starts another attempt.
      logger.warn(
        { err: error },
        'Could not check whether the database has lost events; trying again',
      );
    }
  }

  async function askFor(client: Client): Promise<void> {
    const mark = own.position > feed.mark.position ? own : feed.mark;
    if (!(await deps.hasHistoryUpTo(client, mark))) onHistoryLost(mark);
  }

  async function hasHistory(): Promise<boolean> {
    const connection = deps.commits.connection();
    if (!isHistoryLost && (connection === null || connection !== askedConnection)) {
      await askFor(deps.commits);
      askedConnection = deps.commits.connection();
    }
    return !isHistoryLost;
  }

  function poll(): void {
    const { position } = feed.mark;
    void checkHistory();
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
    historyLost,
    hasHistory,
    onEvent: feed.onEvent,
    onOutput: outputs.onExecution,
    onSessionOutput: outputs.onSession,
    onWaiting: (listener) => {
      waitingListeners.add(listener);
      return () => waitingListeners.delete(listener);
    },
    onCommitted: (events, added, previousEventId) => {
      const last = events.at(-1);
      if (last && last.position > own.position)
        own = { position: last.position, eventId: last.metadata.eventId };
      feed.committed(events, previousEventId);
      outputs.wake(added);
    },
    start: async () => {
      feed.startAt(await deps.lastMark());
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

function lossUpTo({ position }: HistoryMark): string {
  return `The database no longer has event ${position}, which this gateway has seen: an older copy of the database was restored, or a standby took over that did not have the last commits. Start the gateway again. It then continues with what the database has.`;
}

/**
 * Finds out whether notifications still arrive. Every commit with events causes one, including this process's commits.
 */
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
