/** The life of a sandbox in the API of E2B: it is created, connected to, extended and killed. */
import { DomainError } from '../../../domain/errors.ts';
import type { Session } from '../../../domain/session.ts';
import { singleUser } from '../../../domain/users.ts';
import type { WorkerLimits } from '../../../domain/worker.ts';
import type { Answer } from '../../../service/answer/answer.ts';
import type { DoorCall, DoorDeps } from '../../openDoor.ts';
import { optionalBody, readJson } from '../../shared/body.ts';
import type { Route } from '../../shared/findRoute.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import { isSandboxId, newSandboxId, userOf } from '../sandbox.ts';
import {
  DEFAULT_TIMEOUT_SECONDS,
  msOf,
  NEW_SANDBOX,
  networkFields,
  readNewSandbox,
  refuse,
  SECONDS,
  templateIdOf,
} from './newSandbox.ts';

/** A request to the API. */
export interface ControlCall {
  readonly call: DoorCall;
  /** The sandbox that the path names, which may not exist. `''`: the path names no sandbox. */
  readonly sandboxId: string;
  readonly deps: DoorDeps;
}

export type ControlRoute = Route<Serve>;

export type Serve = (call: ControlCall) => Promise<void>;

/** The API's names for fields that the service names in its messages. */
const NAMES: Readonly<Record<string, string>> = {
  environmentVariables: 'envVars',
  egressAllow: 'network.allowOut',
  environment: 'templateID',
  first: 'limit',
  after: 'nextToken',
};

/** The error, with E2B's names of fields in its message. */
export function inWordsOfE2b(error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const { code, message, details } = error;
  const field = String(details.field);
  const name = Object.hasOwn(NAMES, field) ? NAMES[field] : undefined;
  if (code !== 'BAD_USER_INPUT' || name === undefined || !message.startsWith(field)) return error;
  const renamed = name + message.slice(field.length);
  return new DomainError(code, renamed, { ...details, field: name }, { cause: error });
}

// `/sandboxes/{id}`: what it is, its end, and its network.

/** @throws DomainError */
export async function getSandbox(request: ControlCall): Promise<void> {
  const { call, deps } = request;
  const { sandboxId, userUuid, session } = await openSandbox(request);
  const answer = beginAnswer(call);
  const endAt = endOf(answer, session, deps.now());
  if (endAt === null) throw gone(sandboxId);
  const facts = await factsOf(answer, session, { sandboxId, endAt });
  // An auditor may only read, so the answer has no key.
  const mayUse = call.principal.role !== 'AUDITOR';
  const key = mayUse ? await call.service.sessionKey(userUuid) : null;
  answerJson(call.res, 200, detailModel(session, facts, key));
}

/** @throws DomainError */
export async function killSandbox({ call, sandboxId }: ControlCall): Promise<void> {
  const released = await call.service.release(userIn(call, sandboxId));
  if (released === null) throw gone(sandboxId);
  call.res.writeHead(204).end();
}

/** @throws DomainError always: what a session may reach is decided when it opens */
export async function updateNetwork(request: ControlCall): Promise<void> {
  await openSandbox(request);
  refuse('The network of a sandbox is decided when it is created, and cannot be changed.');
}

// Sandboxes as the API describes them.

/**
 * The version of E2B's daemon (envd) whose features this door has. SDKs use only features of this version. In later
 * versions, files have metadata.
 */
const ENVD_VERSION = '0.5.7';
/** Means nothing, but the Python SDK requires the field. */
const CLIENT_ID = 'cellhouse';

type Described = Pick<Session, 'environment' | 'openedAt' | 'metadata' | 'egressAllow'>;

/** The fields that every description has. */
function whichOf({ environment }: Pick<Session, 'environment'>, sandboxId: string) {
  return {
    templateID: templateIdOf(environment),
    sandboxID: sandboxId,
    clientID: CLIENT_ID,
    envdVersion: ENVD_VERSION,
  };
}

/** The answer to `create` and `connect`. @param key to the sandbox's session */
export function sandboxModel(
  session: Pick<Session, 'environment'>,
  sandboxId: string,
  key: string,
): object {
  const keys = { envdAccessToken: key, trafficAccessToken: key };
  return { ...whichOf(session, sandboxId), ...keys, domain: null };
}

interface Facts {
  readonly sandboxId: string;
  readonly endAt: Date;
  readonly limits: WorkerLimits;
}

/** A sandbox in a list. */
export function listedModel(
  session: Pick<Described, 'environment' | 'openedAt' | 'metadata'>,
  { sandboxId, endAt, limits }: Facts,
): object {
  return {
    ...whichOf(session, sandboxId),
    startedAt: session.openedAt.toISOString(),
    endAt: endAt.toISOString(),
    state: 'running',
    cpuCount: cpuCountOf(limits),
    memoryMB: limits.memoryMb,
    diskSizeMB: limits.diskMb,
    metadata: session.metadata,
  };
}

/** All fields of a sandbox. @param key to its session. Null: the caller may only read */
export function detailModel(session: Described, facts: Facts, key: string | null): object {
  return {
    ...listedModel(session, facts),
    ...(key !== null && { envdAccessToken: key }),
    domain: null,
    ...networkFields(session.egressAllow),
    lifecycle: { onTimeout: 'kill', autoResume: false },
  };
}

/** Rounded up, because the API has only whole CPUs. */
export function cpuCountOf({ cpus }: Pick<WorkerLimits, 'cpus'>): number {
  return Math.max(1, Math.ceil(cpus));
}

// Finds the session of a sandbox.

/** Never shown: no answer of the API contains output. */
const ADVICE = { inParts: 'GraphQL for `execution(id) { outputs(after, first) }`' };
/** Never shown: the worker of an open session is always known. */
const NO_LIMITS: WorkerLimits = { cpus: 1, memoryMb: 0, diskMb: 0, pids: 0 };

export interface OpenSandbox {
  readonly sandboxId: string;
  readonly userUuid: string;
  readonly session: Session;
}

/** A running sandbox of the caller. @throws NOT_FOUND, also for another key's sandbox and one whose time is over */
export async function openSandbox({ call, sandboxId, deps }: ControlCall): Promise<OpenSandbox> {
  const userUuid = userIn(call, sandboxId);
  const session = await call.service.session(userUuid);
  if (session === null || endOf(beginAnswer(call), session, deps.now()) === null)
    throw gone(sandboxId);
  return { sandboxId, userUuid, session };
}

/** The user whose session is the sandbox that the path names. @throws NOT_FOUND if the path has no sandbox id */
function userIn({ principal }: DoorCall, sandboxId: string): string {
  if (!isSandboxId(sandboxId)) throw gone(sandboxId);
  return userOf(principal, sandboxId);
}

function gone(sandboxId: string): DomainError {
  return new DomainError('NOT_FOUND', `The sandbox "${sandboxId}" was not found.`);
}

/** The result of an operation on a session that may have ended meanwhile. @throws NOT_FOUND with E2B's message */
async function unlessGone<T>(sandboxId: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error: unknown) {
    const isGone = error instanceof DomainError && error.code === 'NOT_FOUND';
    throw isGone ? gone(sandboxId) : error;
  }
}

export function beginAnswer({ service }: DoorCall): Answer {
  return service.answer(ADVICE);
}

/** When the session's life ends. Null: that time has passed, even if the end is not recorded yet. */
export function endOf(answer: Answer, session: Session, now: Date): Date | null {
  const { expiresAt } = answer.sessionTimes(session);
  return expiresAt !== null && expiresAt > now ? expiresAt : null;
}

/** Collects what a description of a sandbox needs. */
export async function factsOf(
  answer: Answer,
  { workerId }: Pick<Session, 'workerId'>,
  { sandboxId, endAt }: Pick<Facts, 'sandboxId' | 'endAt'>,
): Promise<Facts> {
  const worker = await answer.worker(workerId);
  return { sandboxId, endAt, limits: worker?.limits ?? NO_LIMITS };
}

// `POST /sandboxes` and `POST /v2/sandboxes`.

/** Answers when the sandbox can be used, because the SDKs use it at once. @throws DomainError */
export async function createSandbox({ call, deps }: ControlCall): Promise<void> {
  const { service, principal, res } = call;
  const body = await readJson(call, NEW_SANDBOX);
  requireManyUsers(call);
  const sandboxId = newSandboxId();
  const wanted = readNewSandbox(body, sandboxId, deps.settings);
  const userUuid = userOf(principal, sandboxId);
  const opening = service.openSession({ userUuid, ...wanted });
  const session = await opening.catch((error: unknown) => {
    throw asUnknownTemplate(error, wanted.environment);
  });
  const key = await service.sessionKey(userUuid).catch(async (error: unknown) => {
    await service.release(userUuid);
    throw error;
  });
  // If the connection is closed, no client has got the id, so nobody could use or kill the sandbox.
  if (res.destroyed) await service.release(userUuid);
  else answerJson(res, 201, sandboxModel(session, sandboxId, key));
}

/** @throws FORBIDDEN */
function requireManyUsers({ principal }: DoorCall): void {
  if (singleUser(principal.users) === null) return;
  throw new DomainError(
    'FORBIDDEN',
    'This key is for one user, and each sandbox is a session of a user of its own. Use a key for a whole tenant, or for the users with a prefix.',
  );
}

function asUnknownTemplate(error: unknown, environment: string | null): unknown {
  const isUnknown = error instanceof DomainError && error.code === 'NOT_FOUND';
  if (!isUnknown || environment === null) return error;
  const message = `The template "${templateIdOf(environment)}" was not found. A template is the name of an environment.`;
  return new DomainError('NOT_FOUND', message, {}, { cause: error });
}

// How long a sandbox lives: `connect`, `timeout` and `refreshes`.

/** Used if `duration` is absent. */
const DEFAULT_REFRESH_SECONDS = 15;

const TIMEOUT = optionalBody({ timeout: SECONDS });
const DURATION = optionalBody({ duration: SECONDS });

/** The sandbox then lives at least for the timeout from now on. This never shortens its life. @throws DomainError */
export async function connect(request: ControlCall): Promise<void> {
  const { call } = request;
  const { timeout } = await readJson(call, TIMEOUT);
  const { sandboxId, userUuid } = await openSandbox(request);
  const lifeMs = msOf('timeout', timeout, range(request, DEFAULT_TIMEOUT_SECONDS));
  const session = await unlessGone(sandboxId, call.service.prolongSession(userUuid, lifeMs));
  answerJson(
    call.res,
    200,
    sandboxModel(session, sandboxId, await call.service.sessionKey(userUuid)),
  );
}

/** The sandbox then ends one timeout from now, which may be earlier or later than before. @throws DomainError */
export async function setTimeoutOf(request: ControlCall): Promise<void> {
  const { call, deps } = request;
  const { timeout } = await readJson(call, TIMEOUT);
  const { sandboxId, userUuid } = await openSandbox(request);
  const lifeMs = msOf('timeout', timeout, range(request));
  const changing = call.service.extendSession(userUuid, lifeMs);
  await unlessGone(sandboxId, changing).catch((error: unknown) => {
    throw isTooLong(error) ? tooLong(deps.settings.longestSessionLifeMs, error) : error;
  });
  call.res.writeHead(204).end();
}

/** The sandbox then lives at least for the duration from now on. @throws DomainError */
export async function refresh(request: ControlCall): Promise<void> {
  const { call } = request;
  const { duration } = await readJson(call, DURATION);
  const { sandboxId, userUuid } = await openSandbox(request);
  const lifeMs = msOf('duration', duration, range(request, DEFAULT_REFRESH_SECONDS));
  await unlessGone(sandboxId, call.service.prolongSession(userUuid, lifeMs));
  call.res.writeHead(204).end();
}

function range({ deps }: ControlCall, defaultSeconds?: number) {
  const all = { minSeconds: 0, maxMs: deps.settings.longestSessionLifeMs };
  return { ...all, ...(defaultSeconds !== undefined && { defaultSeconds }) };
}

function isTooLong(error: unknown): boolean {
  return error instanceof DomainError && error.details.field === 'lifeMs';
}

function tooLong(longestMs: number, cause: unknown): DomainError {
  const message = `timeout is too long: a sandbox may live ${longestMs / 1_000} seconds at most, counted from its start.`;
  return new DomainError('BAD_USER_INPUT', message, { field: 'timeout' }, { cause });
}
