import type { OutputsAdded } from '../store/eventStore.ts';

/** As in `cellhouse_commit`. */
export const CHANNEL = 'cellhouse';

/** What a gateway tells others. */
export interface Notification {
  readonly gatewayId: string;
  /** 0: the commit had no events. */
  readonly position: number;
  /** `any`: too many to name. */
  readonly outputs: OutputsAdded | 'any';
  /** More or fewer calls wait for a worker there. */
  readonly isOfWaiting: boolean;
}

/** Null for anything that no gateway has made: then listeners look at everything. */
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
