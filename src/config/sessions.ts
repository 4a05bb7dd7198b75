/** How long sessions live. */
import { milliseconds } from './setting.ts';

export const SESSIONS = {
  sessionIdleTimeoutMs: milliseconds({
    name: 'SESSION_IDLE_TIMEOUT_MS',
    text: 'A session ends after this time without a call. A session with a running execution is never idle.',
    fallback: 3_600_000,
    min: 1_000,
  }),
  sessionMaxLifeMs: milliseconds({
    name: 'SESSION_MAX_LIFE_MS',
    text: 'A session ends after this time, even if it is in use.',
    fallback: 86_400_000,
    min: 1_000,
  }),
  recyclingIntervalMs: milliseconds({
    name: 'RECYCLING_INTERVAL_MS',
    text: 'How often the gateway looks for sessions that are idle or too old.',
    fallback: 300_000,
    min: 100,
  }),
};
