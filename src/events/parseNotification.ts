import type { OutputsAdded } from './eventStore.ts';

/** What `cellhouse_commit` tells others. */
export interface Notification {
  readonly gatewayId: string;
  /** 0: the commit had no events. */
  readonly position: number;
  /** `any`: too many to name. */
  readonly outputs: OutputsAdded | 'any';
}

/** Null for anything that `cellhouse_commit` did not make: then listeners look at everything. */
export function parseNotification(payload: string): Notification | null {
  try {
    const parsed: unknown = JSON.parse(payload);
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { g, p, x, s } = parsed as Record<string, unknown>;
    if (typeof g !== 'string' || typeof p !== 'number') return null;
    const isNamed = isTexts(x) && isTexts(s);
    return {
      gatewayId: g,
      position: p,
      outputs: isNamed ? { executionIds: x, sessionIds: s } : 'any',
    };
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
