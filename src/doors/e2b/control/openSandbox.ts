/** Finds the session of a sandbox. */
import { DomainError } from '../../../domain/errors.ts';
import type { Session } from '../../../domain/session.ts';
import type { WorkerLimits } from '../../../domain/worker.ts';
import type { Answer } from '../../../service/answer/answer.ts';
import type { DoorCall } from '../../openDoor.ts';
import { isSandboxId, userOf } from '../sandbox/names.ts';
import type { Facts } from './models.ts';
import type { ControlCall } from './route.ts';

/** No answer of the API has any output. */
const ADVICE = { inParts: 'GraphQL for `execution(id) { outputs(after, first) }`' };
/** The worker of an open session is known, so nobody sees these. */
const NO_LIMITS: WorkerLimits = { cpus: 1, memoryMb: 0, diskMb: 0, pids: 0 };

export interface OpenSandbox {
  readonly sandboxId: string;
  readonly userUuid: string;
  readonly session: Session;
}

/** A sandbox of this key that lives. @throws NOT_FOUND, also if it is another's or its time is over */
export async function openSandbox({ call, sandboxId, deps }: ControlCall): Promise<OpenSandbox> {
  const userUuid = userIn(call, sandboxId);
  const session = await call.service.session(userUuid);
  if (session === null || endOf(beginAnswer(call), session, deps.now()) === null)
    throw gone(sandboxId);
  return { sandboxId, userUuid, session };
}

/** The user whose session is the sandbox that the path names. @throws NOT_FOUND if it cannot be one */
export function userIn({ principal }: DoorCall, sandboxId: string): string {
  if (!isSandboxId(sandboxId)) throw gone(sandboxId);
  return userOf(principal, sandboxId);
}

export function gone(sandboxId: string): DomainError {
  return new DomainError('NOT_FOUND', `The sandbox "${sandboxId}" was not found.`);
}

/** The result of an operation on a session that may have ended meanwhile. @throws NOT_FOUND in words of the API */
export async function unlessGone<T>(sandboxId: string, result: Promise<T>): Promise<T> {
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

/** When the session's life ends. Null: it has ended, even if nobody has recorded that yet. */
export function endOf(answer: Answer, session: Session, now: Date): Date | null {
  const { expiresAt } = answer.sessionTimes(session);
  return expiresAt !== null && expiresAt > now ? expiresAt : null;
}

/** What a description of a sandbox takes. */
export async function factsOf(
  answer: Answer,
  { workerId }: Pick<Session, 'workerId'>,
  { sandboxId, endAt }: Pick<Facts, 'sandboxId' | 'endAt'>,
): Promise<Facts> {
  const worker = await answer.worker(workerId);
  return { sandboxId, endAt, limits: worker?.limits ?? NO_LIMITS };
}
