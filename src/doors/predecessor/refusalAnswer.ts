import type { Refusal } from '../../service/refusal.ts';
import type { JsonAnswer } from '../shared/jsonAnswer.ts';
import { missing, unprocessable } from './readFields.ts';
import {
  detail,
  INITIALIZING,
  INTERNAL,
  NO_CONNECTION,
  NO_WORKER,
  type Reply,
  WRONG_TOKEN,
} from './reply.ts';

/** What the predecessor answered in these cases. Everything else is new: it keeps its status and its own words. */
const REPLIES: Readonly<Record<string, Reply>> = {
  POOL_EXHAUSTED: detail(503, NO_WORKER),
  QUEUE_FULL: detail(503, NO_WORKER),
  CONTEXT_LIMIT: detail(503, NO_WORKER),
  POOL_INITIALIZING: detail(503, INITIALIZING),
  WORKER_START_FAILED: detail(504, NO_CONNECTION),
  SHUTTING_DOWN: detail(504, NO_CONNECTION),
};

/** The names of the fields here. */
const FIELDS: Readonly<Record<string, string>> = { userUuid: 'user_uuid', code: 'code' };

export function refusalAnswer(refusal: Refusal): JsonAnswer {
  return { ...replyTo(refusal), headers: refusal.headers };
}

function replyTo({ status, code, message, details, isTokenMissing }: Refusal): Reply {
  if (isTokenMissing) return unprocessable(missing(['header', 'x-auth-token'], null));
  if (status === 401) return detail(401, WRONG_TOKEN);
  const known = REPLIES[code];
  if (known) return known;
  const field = FIELDS[String(details?.field)];
  if (status === 400 && field !== undefined) {
    const loc = ['body', field];
    return unprocessable({ type: 'value_error', loc, msg: message, input: null });
  }
  return status === 500 ? detail(500, INTERNAL) : detail(status, message);
}
