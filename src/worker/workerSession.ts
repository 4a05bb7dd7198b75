import type { RecordedEvent } from '../domain/events.ts';
import { evolveSession, type Session, type SessionEvent } from '../domain/session.ts';

/** The session of one worker, as it is recorded. */
export interface WorkerSession {
  /** Null: the worker has none yet. */
  readonly state: Session | null;
  /** When the default context's kernel was last replaced. Null: never in this session. */
  readonly kernelRestartedAt: Date | null;
  /** Replaces the state with one that was read, or that a commit returned. */
  put(session: Session): void;
  /** Applies an event that somebody else recorded, so that the next commit is decided on the current version. */
  fold(recorded: RecordedEvent): void;
  /** Reads the state again. */
  reload(): Promise<void>;
}

export function createWorkerSession(
  read: Session | null,
  reloadSession: (session: Session) => Promise<Session | null>,
): WorkerSession {
  let state = read;
  return {
    get state() {
      return state;
    },
    get kernelRestartedAt() {
      return state?.kernelRestartedAt ?? null;
    },
    put: (session) => {
      state = session;
    },
    fold: ({ streamId, version, event }) => {
      if (state?.id === streamId && state.version === version - 1)
        state = evolveSession(state, event as SessionEvent);
    },
    reload: async () => {
      if (state) state = await reloadSession(state);
    },
  };
}
