/** How long a sandbox lives: `connect`, `timeout` and `refreshes`. */
import { DomainError } from '../../../domain/errors.ts';
import { optionalBody, readJson } from '../../shared/body.ts';
import { answerJson } from '../answer.ts';
import { SECONDS } from './body.ts';
import { sandboxModel } from './models.ts';
import { DEFAULT_TIMEOUT_SECONDS } from './newSandbox.ts';
import { openSandbox, unlessGone } from './openSandbox.ts';
import type { ControlCall } from './route.ts';
import { msOf } from './seconds.ts';

/** What an absent `duration` stands for. */
const DEFAULT_REFRESH_SECONDS = 15;

const TIMEOUT = optionalBody({ timeout: SECONDS });
const DURATION = optionalBody({ duration: SECONDS });

/** The sandbox lives for the timeout from now on at least, and never shorter than before. @throws DomainError */
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

/** The sandbox ends the timeout from now, be that earlier or later than before. @throws DomainError */
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

/** Keeps the sandbox for the duration from now on at least. @throws DomainError */
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
