/**
 * The API of the system that Cellhouse replaces, with the same paths, shapes, statuses and texts
 * (docs/use/doors/predecessor.md).
 */
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/exactJson.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Output } from '../../domain/output.ts';
import { singleUser } from '../../domain/users.ts';
import type { Principal } from '../../service/principal.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { BoundService } from '../../service/service.ts';
import type { DoorCall, DoorDeps, DoorSettings, Entry, OpenDoor } from '../openDoor.ts';
import { BodyError, checked, jsonIn } from '../shared/body.ts';
import { answerJson, type JsonAnswer } from '../shared/jsonAnswer.ts';
import { contextOf, openContextOf, type Target, targetOf } from '../shared/target.ts';

const REQUEST = z.object({ user_uuid: z.string() });

/** `POST /release`: ends the user's session or context. The answer is the same if there is none. @throws DomainError */
async function releaseUser({ service, principal, ...call }: DoorCall): Promise<Reply> {
  const { user_uuid: user } = await readFields(call, REQUEST);
  const place = targetOfUser(principal, user);
  const contextId = await openContextOf(service, place);
  if (contextId === null) await service.release(place.userUuid);
  else if (contextId !== undefined) await service.deleteContext(place.userUuid, contextId);
  const said = detail(200, `Worker for user ${user} has been released.`);
  return { status: 200, body: { status: 'ok', ...said.body } };
}

/** `GET /status`: the numbers of workers that the caller may know. @throws DomainError */
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

/** An answer in the predecessor's form: a status, and an object as JSON. */
interface Reply {
  readonly status: number;
  readonly body: object;
}

/** An answer that is only a text, or a list of problems. */
function detail(status: number, text: unknown): Reply {
  return { status, body: { detail: text } };
}

const NO_WORKER = 'No available workers. Please try again later.';
const INITIALIZING = 'Worker pool is initializing. Please try again shortly.';
/**
 * The worker could not be started or was lost, the execution was cancelled, or the gateway is stopping. The caller does
 * not learn whether the code has run.
 */
const NO_CONNECTION = 'Gateway Timeout: Could not connect to the execution worker.';
const WRONG_TOKEN = 'Invalid or missing authentication token';
const INTERNAL = 'Internal Server Error';

/**
 * The predecessor's answers to these errors. {@link replyTo} handles some others. The rest are new, and keep their own
 * status and message.
 */
const REPLIES: Readonly<Record<string, Reply>> = {
  POOL_EXHAUSTED: detail(503, NO_WORKER),
  QUEUE_FULL: detail(503, NO_WORKER),
  CONTEXT_LIMIT: detail(503, NO_WORKER),
  POOL_INITIALIZING: detail(503, INITIALIZING),
  WORKER_START_FAILED: detail(504, NO_CONNECTION),
  SHUTTING_DOWN: detail(504, NO_CONNECTION),
};

/** The predecessor's names of the service's fields. */
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

/** Answers 404 or 405 without a token, as the predecessor did. */
function noEndpoint(endpoint: Endpoint | undefined): Entry {
  const [status, detail] = endpoint ? [405, 'Method Not Allowed'] : [404, 'Not Found'];
  const headers = endpoint && { Allow: endpoint.method };
  return { type: 'open', answer: (res) => answerJson(res, status, { detail }, headers) };
}

// `POST /execute`: runs a user's code, and answers with its result.

/** Callers give up after 30 s. This wait leaves 15 s: 10 s for the code, and 5 s to spare. */
const MAX_WAIT_FOR_WORKER_MS = 15_000;
const ADVICE = { inParts: 'GraphQL for `execution(id) { outputs(after, first) }`' };

const EXECUTE_REQUEST = z.object({ user_uuid: z.string(), code: z.string() });

/** @throws DomainError */
async function executeCode(
  call: DoorCall,
  { workerWaitTimeoutMs }: Pick<DoorSettings, 'workerWaitTimeoutMs'>,
): Promise<Reply> {
  const request = await readFields(call, EXECUTE_REQUEST);
  const { service } = call;
  const place = targetOfUser(call.principal, request.user_uuid);
  const contextId = await contextOf(service, place);
  // The predecessor accepted empty code, but the service does not.
  const code = request.code || '\n';
  const waitForWorkerMs = Math.min(MAX_WAIT_FOR_WORKER_MS, workerWaitTimeoutMs);
  const { userUuid } = place;
  const execution = await service.execute({ userUuid, contextId, code, waitForWorkerMs });
  if (execution.status === 'TIMEOUT') return await timedOut(service, execution);
  const items = await service.answer(ADVICE).outputs(execution, {});
  return executionReply(
    execution,
    items.map(({ output }) => output as Output),
  );
}

/** Restarts the kernel: after a timeout, the predecessor lost all variables, and the answer says so. */
async function timedOut(
  service: Pick<BoundService, 'restartKernel'>,
  { timeoutMs, stateLost, userUuid, contextId }: Execution,
): Promise<Reply> {
  if (!stateLost) {
    try {
      await service.restartKernel(userUuid, contextId);
    } catch (error: unknown) {
      // NOT_FOUND: the session or context has ended meanwhile. POOL_INITIALIZING: the restart is recorded, and happens
      // a little later.
      const code = error instanceof DomainError ? error.code : null;
      if (code !== 'NOT_FOUND' && code !== 'POOL_INITIALIZING') throw error;
    }
  }
  const seconds = timeoutMs / 1_000;
  const shown = Number.isInteger(seconds) ? seconds.toFixed(1) : String(seconds);
  return detail(
    400,
    `Code execution timed out after ${shown} seconds. Environment has been reset.`,
  );
}

function executionReply(
  { status, errorName, errorValue }: Execution,
  outputs: readonly Output[],
): Reply {
  switch (status) {
    case 'OK': {
      const image = imageIn(outputs);
      const text = image === null ? textIn(outputs) : null;
      return { status: 200, body: { result_text: text, result_base64: image } };
    }
    case 'ERROR':
    case 'INTERRUPTED': {
      const error = outputs.find((output) => output.kind === 'error') ?? {
        name: errorName ?? 'Error',
        value: errorValue ?? '',
      };
      return detail(400, `Python Execution Error: ${error.name}: ${error.value}`);
    }
    default:
      return detail(504, NO_CONNECTION);
  }
}

/** The text of both streams and the results, in their order. */
function textIn(outputs: readonly Output[]): string {
  let text = '';
  for (const output of outputs) {
    if (output.kind === 'stream') text += output.text;
    if (output.kind === 'result') text += plainText(output.data['text/plain']);
  }
  return text;
}

/** Jupyter's text values may be a list of lines. */
function plainText(value: unknown): string {
  return Array.isArray(value) ? value.join('') : typeof value === 'string' ? value : '';
}

/** The last PNG that was displayed. A PNG that is a result does not count. */
function imageIn(outputs: readonly Output[]): string | null {
  const image = outputs.findLast(
    (output) => output.kind === 'display' && typeof output.data['image/png'] === 'string',
  );
  return image?.kind === 'display' ? String(image.data['image/png']).replace(/\s+/g, '') : null;
}

// Reads the fields of a body. For a wrong body, the answer is that of the predecessor's validation (pydantic).

/**
 * Where the code of a `user_uuid` runs. With a token for one user, that user's own `user_uuid` or an empty one means
 * the default context, and any other names a context.
 */
function targetOfUser(principal: Principal, userUuid: string): Target {
  const own = singleUser(principal.users);
  const isOwn = own !== null && (userUuid === own || userUuid === '');
  return targetOf(principal, isOwn ? null : userUuid);
}

/** Why a part of the request is refused. */
interface Problem {
  readonly type: string;
  /** The place: `body` or `header`, then the name. */
  readonly loc: readonly PropertyKey[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: object;
}

/** @param schema of an object of strings @throws BodyError, which is answered with {@link misunderstood} */
async function readFields<Schema extends z.ZodType>(
  { req, readBody }: Pick<DoorCall, 'req' | 'readBody'>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await readBody();
  const isText = text !== '' && !isJson(req.headers['content-type']);
  return checked(isText ? text : jsonIn(text), schema);
}

/** The answer to a wrong body. @throws any other error */
function misunderstood(error: unknown): Reply {
  if (!(error instanceof BodyError)) throw error;
  const { body, issues } = error;
  const problems = issues.map(({ path }): Problem => {
    const loc = ['body', ...path];
    const input = isJsonObject(body) ? body[String(path[0])] : body;
    if (input === undefined) return missing(loc, body ?? null);
    const [type, msg] = path.length === 0 ? NO_OBJECT : NO_TEXT;
    return { type, loc, msg, input };
  });
  return unprocessable(...(problems.length === 0 ? [NO_JSON] : problems));
}

/** The refusal of a request with these problems. */
function unprocessable(...problems: readonly Problem[]): Reply {
  return detail(422, problems);
}

function missing(loc: Problem['loc'], input: unknown): Problem {
  return { type: 'missing', loc, msg: 'Field required', input };
}

const NO_TEXT = ['string_type', 'Input should be a valid string'] as const;
const NO_OBJECT = [
  'model_attributes_type',
  'Input should be a valid dictionary or object to extract fields from',
] as const;
const NO_JSON: Problem = {
  type: 'json_invalid',
  loc: ['body', 0],
  msg: 'JSON decode error',
  input: {},
  ctx: { error: 'Expecting value' },
};

/** A body without a content type also counts as JSON. */
function isJson(type: string | undefined): boolean {
  return type === undefined || /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type);
}
