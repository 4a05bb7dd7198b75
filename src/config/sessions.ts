/** How long sessions live, and what their options may be. */
import { bytes, integer, milliseconds } from './setting.ts';

export const SESSIONS = {
  sessionIdleTimeoutMs: milliseconds({
    name: 'SESSION_IDLE_TIMEOUT_MS',
    text: 'A session ends after this time without use, unless openSession gave it another idle time. A session is not idle while a cell runs in it, or a command with `keepAlive`.',
    fallback: 3_600_000,
    min: 1_000,
  }),
  sessionMaxLifeMs: milliseconds({
    name: 'SESSION_MAX_LIFE_MS',
    text: 'A session ends after this time, even if it is in use, unless openSession or extendSession gave it another life.',
    fallback: 86_400_000,
    min: 1_000,
  }),
  longestSessionLifeMs: milliseconds({
    name: 'LONGEST_SESSION_LIFE_MS',
    text: 'The longest life, counted from the opening of a session, that openSession and extendSession may give it. It is also the longest idle time.',
    fallback: 604_800_000,
    min: 1_000,
  }),
  maxSessionMetadataKeys: integer({
    name: 'MAX_SESSION_METADATA_KEYS',
    text: 'How many keys the metadata of a session may have.',
    fallback: 64,
    min: 0,
    max: 10_000,
  }),
  maxSessionMetadataBytes: bytes({
    name: 'MAX_SESSION_METADATA_BYTES',
    text: 'The largest metadata of a session: all its keys and values in UTF-8.',
    fallback: 16_384,
    min: 0,
    max: 1_048_576,
  }),
  maxEnvironmentVariables: integer({
    name: 'MAX_ENVIRONMENT_VARIABLES',
    text: 'How many environment variables a session may have, and how many one execution may add.',
    fallback: 128,
    min: 0,
    max: 1_000,
  }),
  maxEnvironmentNameBytes: bytes({
    name: 'MAX_ENVIRONMENT_NAME_BYTES',
    text: 'The longest name of an environment variable.',
    fallback: 256,
    min: 1,
    max: 4_096,
  }),
  maxEnvironmentBytes: bytes({
    name: 'MAX_ENVIRONMENT_BYTES',
    text: "How large the environment variables of a session may be, and those that one execution adds: all names and values in UTF-8. Linux limits each variable's name and value to 128 KiB together.",
    fallback: 65_536,
    min: 0,
    max: 131_000,
  }),
};
