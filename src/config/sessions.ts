/** How long sessions live. */
import { milliseconds } from './setting.ts';

export const SESSIONS = {
  sessionIdleTimeoutMs: milliseconds({
    name: 'SESSION_IDLE_TIMEOUT_MS',
    text: 'A session without a call for so long ends; a running execution is never idle.',
    fallback: 3_600_000,
    min: 1_000,
  }),
  sessionMaxLifeMs: milliseconds({
    name: 'SESSION_MAX_LIFE_MS',
    text: 'A session ends after this, whatever it does.',
    fallback: 86_400_000,
    min: 1_000,
  }),
  recyclingIntervalMs: milliseconds({
    name: 'RECYCLING_INTERVAL_MS',
    text: 'How often sessions that are idle or too old are looked for.',
    fallback: 300_000,
    min: 100,
  }),
};
