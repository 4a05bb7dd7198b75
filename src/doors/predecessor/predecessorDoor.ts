/** The API of the system that Cellhouse replaces: the same paths, shapes, statuses and texts (docs/use/doors/predecessor.md). */
import { z } from 'zod';
import type { Refusal } from '../../service/refusal.ts';
import type { DoorCall, DoorDeps, Entry, OpenDoor } from '../openDoor.ts';
import { answerJson, type JsonAnswer } from '../shared/jsonAnswer.ts';
import { openContextOf } from '../shared/target.ts';
import { executeCode } from './executeCode.ts';
import {
  detail,
  INITIALIZING,
  INTERNAL,
  missing,
  misunderstood,
  NO_CONNECTION,
  NO_WORKER,
  type Reply,
  readFields,
  targetOfUser,
  unprocessable,
  WRONG_TOKEN,
} from './readFields.ts';

const REQUEST = z.object({ user_uuid: z.string() });

/** `POST /release`: ends what a user has, if there is anything. It says so in any case. @throws DomainError */
async function releaseUser({ service, principal, ...call }: DoorCall): Promise<Reply> {
  const { user_uuid: user } = await readFields(call, REQUEST);
  const place = targetOfUser(principal, user);
  const contextId = await openContextOf(service, place);
  if (contextId === null) await service.release(place.userUuid);
  else if (contextId !== undefined) await service.deleteContext(place.userUuid, contextId);
  const said = detail(200, `Worker for user ${user} has been released.`);
  return { status: 200, body: { status: 'ok', ...said.body } };
}

/** `GET /status`: the numbers of workers, as far as the caller may know them. @throws DomainError */
async function poolStatus({ service }: DoorCall): Promise<Reply> {
  const pool = await service.poolStatus();
  return {
    status: 200,
    body: {
      total_workers: pool.totalWorkers,
      busy_workers: pool.busyWorkers,
      idle_workers_in_pool: pool.idleWorkers,
      is_initializing: pool.isInitializing,
    },
  };
}

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

function refusalAnswer(refusal: Refusal): JsonAnswer {
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

interface Endpoint {
  readonly method: string;
  readonly answer: (call: DoorCall) => Promise<Reply>;
}

export function createPredecessorDoor({ settings }: DoorDeps): OpenDoor {
  const endpoints: ReadonlyMap<string, Endpoint> = new Map([
    ['/execute', { method: 'POST', answer: (call) => executeCode(call, settings) }],
    ['/release', { method: 'POST', answer: releaseUser }],
    ['/status', { method: 'GET', answer: poolStatus }],
  ]);
  return {
    name: 'predecessor',
    mounts: Object.fromEntries([...endpoints.keys()].map((path) => [path, path])),
    credentials: { headers: ['x-auth-token'], isInQuery: false },
    cors: { methods: 'GET, POST, OPTIONS', headers: 'content-type, x-auth-token', exposed: '' },
    refuse: refusalAnswer,
    enter: ({ method, path }) => {
      const endpoint = endpoints.get(path);
      if (endpoint?.method !== method) return noEndpoint(endpoint);
      return {
        type: 'guarded',
        handle: async (call) => {
          const { status, body } = await endpoint.answer(call).catch(misunderstood);
          answerJson(call.res, status, body);
        },
      };
    },
  };
}

/** That there is no such path or method needed no token. */
function noEndpoint(endpoint: Endpoint | undefined): Entry {
  const [status, detail] = endpoint ? [405, 'Method Not Allowed'] : [404, 'Not Found'];
  const headers = endpoint && { Allow: endpoint.method };
  return { type: 'open', answer: (res) => answerJson(res, status, { detail }, headers) };
}
