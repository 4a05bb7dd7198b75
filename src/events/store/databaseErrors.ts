import postgres from 'postgres';
import { STREAM_KINDS } from '../../domain/entities.ts';
import type { WorkerId } from '../../domain/ids.ts';
import { type ExceededQuota, QuotaError } from '../../domain/quota.ts';
import { NO_ANSWER } from '../connection/client.ts';
import { PROJECTIONS } from '../projections/projections.ts';
import { ConcurrencyError, FencedError, LimitError, SessionInUseError } from './eventStore.ts';

/** Codes of postgres.js and Node for a connection that failed or was lost. The outcome of the query is unknown then. */
const CONNECTION_CODES = new Set([
  NO_ANSWER,
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
]);

/**
 * SQLSTATE codes and classes of failures that may pass: the server starts, stops or lacks resources; a timeout; a
 * deadlock.
 */
const TRANSIENT_STATES = /^(08|53|57P0[1-5]|58|25P0[34]|57014|55P03|40001|40P01)/;

const CONSTRAINTS: Readonly<Record<string, ConcurrencyError['on']>> = {
  events_stream_version_key: 'stream',
  ...Object.fromEntries(STREAM_KINDS.map((kind) => [`${PROJECTIONS[kind].table}_pkey`, 'stream'])),
  sessions_worker_key: 'stream',
  tokens_secret_key: 'stream',
  environments_number_key: 'stream',
  output_events_pkey: 'stream',
  sessions_open_user_key: 'open-session',
  contexts_slot_key: 'context',
  contexts_name_key: 'context',
  idempotency_keys_pkey: 'idempotency-key',
};

/** Whether the same query may succeed later. It was not carried out, or its outcome is unknown. */
export function isTransient(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return TRANSIENT_STATES.test(error.code);
  if (!(error instanceof Error)) return false;
  return CONNECTION_CODES.has((error as NodeJS.ErrnoException).code ?? '');
}

/** Those of {@link CONNECTION_CODES} which mean that no connection was made, so nothing was sent. */
const NOT_CONNECTED = new Set([
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Whether this error proves that the query was not carried out. */
export function isUndone(error: unknown): boolean {
  if (isRefusal(error)) return true;
  return error instanceof Error && NOT_CONNECTED.has((error as NodeJS.ErrnoException).code ?? '');
}

/** Whether the database is away. A database that cancelled a query because it took too long is not away. */
export function isAway(error: unknown): boolean {
  return isTransient(error) && !(error instanceof postgres.PostgresError && error.code === '57014');
}

/**
 * The error of the {@link EventStore} contract for a failure of `cellhouse_commit`. Unexpected errors are returned
 * unchanged.
 */
export function commitError(error: unknown): unknown {
  if (!(error instanceof postgres.PostgresError)) return error;
  switch (error.code) {
    case 'CH001':
      return new FencedError(error.detail as WorkerId);
    case 'CH002':
    case 'CH007':
      return new ConcurrencyError('session', { cause: error });
    case 'CH003':
      return new ConcurrencyError('stream', { cause: error });
    case 'CH006':
      return new SessionInUseError({ cause: error });
    case 'CH004':
      return new LimitError('maxUnfinished', Number(error.detail), { cause: error });
    case 'CH005':
      return new LimitError('maxWorkers', Number(error.detail), { cause: error });
    case 'CH008':
      return new QuotaError(JSON.parse(error.detail ?? '') as ExceededQuota, { cause: error });
    case '23505': {
      const on = CONSTRAINTS[error.constraint_name ?? ''];
      return on ? new ConcurrencyError(on, { cause: error }) : error;
    }
    default:
      return error;
  }
}

/**
 * Whether the server refused the query. Then nothing was written, and the members of a group can be tried one by one.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof postgres.PostgresError;
}
