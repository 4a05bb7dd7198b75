/** Checks that no gateway let in the holder of a token that was revoked a second before, and that they were asked. */
import type { History } from '../history.ts';
import { lost, type Violation } from './facts.ts';

/** Of so many tries, faults may have kept all from an answer. */
const MAX_UNANSWERED = 6;

export function checkAccess({ tokenTries }: History): Violation[] {
  const letIn = tokenTries
    .filter(({ outcome }) => outcome === 'let in')
    .map(({ user, gateway, revokedAt, triedAt }) =>
      lost(
        `the end of a token of ${user}: gateway ${gateway} let its holder in ${triedAt - revokedAt} ms later`,
      ),
    );
  const isProved = tokenTries.some(({ outcome }) => outcome === 'refused');
  return isProved || tokenTries.length <= MAX_UNANSWERED
    ? letIn
    : [
        ...letIn,
        lost(`the proof: none of ${tokenTries.length} tries of a revoked token was refused`),
      ];
}
