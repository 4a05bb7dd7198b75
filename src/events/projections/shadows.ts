import type { StreamKind } from '../../domain/events.ts';

/** A projection's table, and the temporary one that a rebuild fills. */
export interface Shadow {
  readonly kind: StreamKind;
  readonly table: string;
  readonly shadow: string;
  /** Whether its rows hold the position of their stream's first event. */
  readonly hasPosition: boolean;
}

export const SHADOWS: Readonly<Record<StreamKind, Shadow>> = {
  worker: { kind: 'worker', table: 'workers', shadow: 'shadow_workers', hasPosition: false },
  session: { kind: 'session', table: 'sessions', shadow: 'shadow_sessions', hasPosition: false },
  execution: {
    kind: 'execution',
    table: 'executions',
    shadow: 'shadow_executions',
    hasPosition: true,
  },
};
