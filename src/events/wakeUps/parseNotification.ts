import type { OutputsAdded } from '../store/eventStore.ts';

/** The same name as in `cellhouse_commit`. */
export const CHANNEL = 'cellhouse';

/** A notification from a gateway to all gateways. */
export interface Notification {
  readonly gatewayId: string;
  /** Position of the commit's last event; 0 if it had no events. */
  readonly position: number;
  /** Whose outputs grew. `any`: there were too many to name. */
  readonly outputs: OutputsAdded | 'any';
  /** Whether the number of calls that wait for a worker has changed at that gateway. */
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
