import type { SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/** The longest time for which a recorded use stands for further uses of the same session on this gateway. */
const MAX_INTERVAL_MS = 5_000;
/** How many times uses are recorded within the session's idle time, at least. */
const USES_IN_IDLE_TIME = 4;

/** The longest time between two records of a lasting use, which may last for days. */
const HOLD_INTERVAL_MS = 60_000;

/** Uses of sessions other than executions, such as transfers of files. Each puts off the session's end as idle. */
export interface SessionUses {
  /**
   * Records that the session is used now. Most calls cost nothing, because a use that was just recorded stands for them
   * (for at most 5 s, and at most a quarter of the session's idle time).
   * @returns false if the session is closed. True means that it was open when the last use was recorded
   */
  use(session: UsedSession): Promise<boolean>;
  /**
   * Counts as a use from now until the returned function is called, even if nothing moves meanwhile. It is recorded
   * now, at the end, and in between once a minute or four times in the session's idle time, whichever is more often. A
   * use that cannot be recorded is tried again. Once the session is closed, nothing more is recorded.
   */
  hold(session: UsedSession): () => void;
}

type UsedSession = Pick<Session, 'id' | 'idleTimeoutMs'>;

export interface SessionUsesDeps {
  readonly queries: Pick<Queries, 'touchSession'>;
  readonly sessionIdleTimeoutMs: number;
  readonly now: () => Date;
}

export function createSessionUses({
  queries,
  sessionIdleTimeoutMs,
  now,
}: SessionUsesDeps): SessionUses {
  /** The time of the last recorded use of each session. The least recently recorded session comes first. */
  const recorded = new Map<SessionId, number>();
  /** Uses that are being recorded. Further ones of the same session wait for them. */
  const recording = new Map<SessionId, Promise<boolean>>();

  function forgetBefore(ms: number): void {
    for (const [id, usedMs] of recorded) {
      if (usedMs > ms) return;
      recorded.delete(id);
    }
  }

  async function store(id: SessionId, at: Date): Promise<boolean> {
    const isOpen = await queries.touchSession(id, at);
    // A key goes to the end of a map only if it is new.
    recorded.delete(id);
    if (isOpen) recorded.set(id, at.getTime());
    return isOpen;
  }

  function intervalOf(
    { idleTimeoutMs }: Pick<UsedSession, 'idleTimeoutMs'>,
    maxMs: number,
  ): number {
    return Math.min(maxMs, (idleTimeoutMs ?? sessionIdleTimeoutMs) / USES_IN_IDLE_TIME);
  }

  async function use({ id, idleTimeoutMs }: UsedSession): Promise<boolean> {
    const at = now();
    forgetBefore(at.getTime() - MAX_INTERVAL_MS);
    const intervalMs = intervalOf({ idleTimeoutMs }, MAX_INTERVAL_MS);
    const usedMs = recorded.get(id);
    if (usedMs !== undefined && at.getTime() - usedMs < intervalMs) return true;
    const underWay = recording.get(id);
    if (underWay) return await underWay;
    const recordingNow = store(id, at).finally(() => recording.delete(id));
    recording.set(id, recordingNow);
    return await recordingNow;
  }

  function hold(session: UsedSession): () => void {
    const record = async () => {
      if (!(await use(session).catch(() => true))) clearInterval(timer);
    };
    const timer = setInterval(() => void record(), intervalOf(session, HOLD_INTERVAL_MS));
    void record();
    return () => {
      clearInterval(timer);
      void record();
    };
  }

  return { use, hold };
}
