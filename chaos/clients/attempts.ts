/**
 * Repeats a call as a careful client does: each attempt has a time limit, and the next one asks another gateway, with
 * the token that the client has by then.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Answered } from '../history.ts';
import type { Random } from '../random.ts';

/** Longer than the life of a lease plus a takeover. A gateway that is paused (SIGSTOP) does not answer. */
const ATTEMPT_TIMEOUT_MS = 12_000;
/** Longer than the gateway's own limits: a commit waits 30 s for the database, and a request 60 s for a worker. */
export const CALL_LIMIT_MS = 120_000;
const RETRY_PAUSE_MS = 150;

/** The token of a client. It may be replaced at any time; the former token is revoked only afterwards. */
export interface Credentials {
  readonly token: string;
}

export interface ClientDeps {
  /** The URLs of all gateways, e.g. `http://127.0.0.1:3874`. */
  readonly urls: readonly string[];
  readonly credentials: Credentials;
  readonly random: Random;
  /** Aborting it ends everything immediately. */
  readonly signal: AbortSignal;
  /** Opens the user's session with its options again, after it has ended. Absent: the sessions have no options. */
  readonly reopen?: Attempt<unknown>;
}

/** Asks one gateway once. */
export type Attempt<Answer> = (
  url: string,
  token: string,
  signal: AbortSignal,
) => Promise<Outcome<Answer>>;

/**
 * How one attempt ended. `failure`: an error that a later attempt may not meet. `refusal`: an error that every attempt
 * meets. `unknown`: the call must not be repeated, although nobody knows whether it was carried out.
 */
export type Outcome<Answer> =
  | { readonly answer: Answer }
  | { readonly failure: string }
  | { readonly refusal: string }
  | { readonly unknown: string };

/**
 * Makes attempts until one is answered or refused, until one must not be repeated, or until {@link CALL_LIMIT_MS}. An
 * attempt that throws counts as a failure.
 * @throws only if the signal of `deps` is aborted
 */
export async function untilAnswered<Answer>(
  deps: ClientDeps,
  attempt: Attempt<Answer>,
): Promise<Answered<Answer>> {
  const startedAt = Date.now();
  const failures: Record<string, number> = {};
  const ended = (answer: Answer | null, refusal: string | null) => ({
    ...{ startedAt, endedAt: Date.now(), failures },
    ...{ answer, refusal },
  });
  let turn = deps.random.between(0, deps.urls.length - 1);
  while (Date.now() - startedAt < CALL_LIMIT_MS) {
    const outcome = await limited(deps, deps.urls[turn % deps.urls.length] ?? '', attempt);
    turn += 1;
    if ('answer' in outcome) return ended(outcome.answer, null);
    if ('refusal' in outcome) return ended(null, outcome.refusal);
    const failure = 'unknown' in outcome ? outcome.unknown : outcome.failure;
    failures[failure] = (failures[failure] ?? 0) + 1;
    if ('unknown' in outcome) break;
    if (failure === 'SESSION_ENDED' && deps.reopen)
      await limited(deps, deps.urls[turn % deps.urls.length] ?? '', deps.reopen);
    await delay(RETRY_PAUSE_MS * (0.5 + deps.random.next()), undefined, { signal: deps.signal });
  }
  return ended(null, null);
}

async function limited<Answer>(
  { signal, credentials }: ClientDeps,
  url: string,
  attempt: Attempt<Answer>,
): Promise<Outcome<Answer>> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  const { token } = credentials;
  try {
    const outcome = await attempt(url, token, AbortSignal.any([limit, signal]));
    const isFormer = token !== credentials.token;
    const isShut = 'refusal' in outcome && outcome.refusal === 'UNAUTHENTICATED';
    return isShut && isFormer ? { failure: outcome.refusal } : outcome;
  } catch (error: unknown) {
    signal.throwIfAborted();
    return { failure: limit.aborted ? 'no answer in time' : wayItBroke(error) };
  }
}

/** The socket's error code, which fetch wraps in its own error. */
export function wayItBroke(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(error);
}
