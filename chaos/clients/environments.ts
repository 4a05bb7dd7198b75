/** The environments of a run, and the sessions of users in them. */
import type { Attempt } from './attempts.ts';
import { attempt } from './calls.ts';

/** Their builds need no network. */
export const ENVIRONMENTS = [
  { name: 'science', setup: 'printf science > /usr/local/share/which' },
  { name: 'art', setup: 'printf art > /usr/local/share/which' },
] as const;

const OPEN = 'mutation Open($input: OpenSessionInput!) { done: openSession(input: $input) { id } }';

/** The environment of the user with this number. Null: none. */
export function environmentOf(index: number): string | null {
  return [null, ...ENVIRONMENTS.map(({ name }) => name)][index % (1 + ENVIRONMENTS.length)] ?? null;
}

/** Opens the user's session in the environment. It may be repeated. */
export function opening(userUuid: string, environment: string): Attempt<unknown> {
  const request = {
    query: OPEN,
    variables: { input: { userUuid, environment } },
    answerOf: ({ done }: Readonly<Record<string, unknown>>) => done,
  };
  return async (url, token, signal) => {
    const outcome = await attempt(url, token, request, signal);
    // A session in no environment is open: of a call before, for which no answer had come.
    const isOpen = 'failure' in outcome && outcome.failure === 'SESSION_OPTIONS_DIFFER';
    return isOpen ? { answer: null } : outcome;
  };
}
