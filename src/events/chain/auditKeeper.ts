/**
 * Seals events in the background, and copies the head of each closed day out of the database. Only the gateway with the
 * lease `audit` seals. Every gateway writes the heads of closed days to its log and to a file of its own, so that they
 * are safe from changes of the database. Every gateway also compares its file with the database.
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { within } from '../../async/within.ts';
import { type AuditHead, type AuditStatus, isSameHead } from '../../domain/auditHead.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Database } from '../database.ts';
import type { Queries } from '../queries/createQueries.ts';

/** How long an event may stay unsealed. A change within that time is not detected. */
const SEAL_INTERVAL_MS = 10_000;
/** How often each gateway looks for closed days. */
const POLL_INTERVAL_MS = 60_000;
/** How long `close()` waits for a page that is being sealed. */
const CLOSE_TIMEOUT_MS = 2_000;
/** How many days the log names if heads differ. */
const NAMED_DAYS = 5;
const AUDIT_LEASE = 'audit';

/** Heads outside of the database (`src/process/dataDir.ts`). */
interface AuditHeads {
  read(): Promise<AuditHead[]>;
  /** Resolves when the heads are on the disk. */
  append(heads: readonly AuditHead[]): Promise<void>;
}

interface AuditKeeperDeps {
  readonly database: Pick<Database, 'gatewayId' | 'leases' | 'queries'>;
  readonly heads: AuditHeads;
  readonly logger: Logger;
  /** @default 10,000 */
  readonly sealIntervalMs?: number;
  /** @default 60,000 */
  readonly pollIntervalMs?: number;
}

export interface AuditKeeper {
  /**
   * `unsealedEvents` is counted at the end of each round, even if the sealing failed, and rounds are SEAL_INTERVAL_MS
   * apart. `differingHeads` is counted every POLL_INTERVAL_MS.
   */
  status(): AuditStatus;
  start(): void;
  /** Idempotent. */
  close(): Promise<void>;
}

export function createAuditKeeper(deps: AuditKeeperDeps): AuditKeeper {
  const { database, logger } = deps;
  const { leases, queries, gatewayId } = database;
  const closing = new AbortController();
  const { signal } = closing;
  const headKeeping = createHeadKeeping(deps);
  let unsealedEvents = 0;
  let working: Promise<void> = Promise.resolve();
  const isOver = () => signal.aborted || !leases.isHeld(AUDIT_LEASE);

  async function round(): Promise<void> {
    try {
      if (!leases.isHeld(AUDIT_LEASE)) await leases.acquire(AUDIT_LEASE);
      await sealAll(queries, { gatewayId, pauses: PAGE_PAUSES, isOver, signal });
      await headKeeping.pollIfDue();
    } finally {
      if (!signal.aborted) unsealedEvents = await queries.unsealedEvents();
    }
  }

  function report(error: unknown): void {
    if (signal.aborted) return;
    const details = { error: messageOf(error) };
    logger.error(details, 'a round of the audit chain failed; the next one tries again');
  }

  async function keep(): Promise<void> {
    while (!signal.aborted) {
      await round().catch(report);
      await pause(deps.sealIntervalMs ?? SEAL_INTERVAL_MS, signal);
    }
  }

  return {
    status: () => ({ unsealedEvents, differingHeads: headKeeping.differing() }),
    start: () => {
      working = keep();
    },
    close: async () => {
      closing.abort();
      await within(CLOSE_TIMEOUT_MS, working, () => undefined);
    },
  };
}

function createHeadKeeping({ database, heads, logger, pollIntervalMs }: AuditKeeperDeps) {
  let dueAt = 0;
  /** The days whose heads differ. */
  let differing: readonly string[] = [];
  let ahead: string | null = null;

  async function poll(): Promise<void> {
    const [own, closed] = await Promise.all([heads.read(), database.queries.auditHeads()]);
    tell(differingHeads(own, closed));
    tellAhead(await database.queries.openDayAhead());
    const known = new Set(own.map(({ day }) => day));
    const added = closed.filter(({ day }) => !known.has(day));
    if (added.length === 0) return;
    for (const head of added) logger.info(head, 'a day of the audit chain is closed');
    await heads.append(added);
  }

  function tell(found: readonly AuditHead[]): void {
    const former = new Set(differing);
    differing = found.map(({ day }) => day);
    if (differing.length === former.size && differing.every((day) => former.has(day))) return;
    if (differing.length === 0) return;
    logger.error(
      { differing: differing.length, days: differing.slice(0, NAMED_DAYS) },
      'The database does not have the audit chain that this gateway has noted in DATA_DIR/audit-heads. Somebody has changed the history, or this is another database. Run: cellhouse audit verify',
    );
  }

  function tellAhead(openDay: string | null): void {
    if (openDay !== ahead && openDay !== null)
      logger.warn(
        { openDay },
        'The open day of the audit chain is in the future, so no day is closed until then, and no head leaves the database. The clock of the database was set forward, or is behind now.',
      );
    ahead = openDay;
  }

  return {
    differing: () => differing.length,
    pollIfDue: async () => {
      if (performance.now() < dueAt) return;
      await poll();
      dueAt = performance.now() + (pollIntervalMs ?? POLL_INTERVAL_MS);
    },
  };
}

/** The heads of `own` that `closed` does not have, or has with another content. */
function differingHeads(own: readonly AuditHead[], closed: readonly AuditHead[]): AuditHead[] {
  const byDay = new Map(closed.map((head) => [head.day, head]));
  return own.filter((head) => {
    const found = byDay.get(head.day);
    return found === undefined || !isSameHead(found, head);
  });
}

/** Events in one transaction. Sealing them takes the database about 10 ms. */
const PAGE_EVENTS = 500;

/** Each pause is as long as the last page took, so that sealing a long history leaves half of a CPU to the commits. */
const PAGE_PAUSES = 1;

interface SealingOptions {
  readonly gatewayId: string;
  /** Length of the pause after a page, as a multiple of the time that the page took. */
  readonly pauses: number;
  /** Called before each page. */
  readonly isOver: () => boolean;
  readonly signal?: AbortSignal;
}

/** Seals page by page until every event that was committed before the call is sealed, or until `isOver`. */
export async function sealAll(
  queries: Pick<Queries, 'sealEvents'>,
  { gatewayId, pauses, isOver, signal }: SealingOptions,
): Promise<void> {
  while (!isOver()) {
    const startedAt = performance.now();
    if ((await queries.sealEvents(gatewayId, PAGE_EVENTS)) < PAGE_EVENTS) return;
    await pause(pauses * (performance.now() - startedAt), signal);
  }
}
