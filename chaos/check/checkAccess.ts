/** Checks that no gateway let in the holder of a token that was revoked a second before. */
import type { History } from '../history.ts';
import { lost, type Violation } from './violation.ts';

export function checkAccess({ tokenTries }: History): Violation[] {
  return tokenTries
    .filter(({ outcome }) => outcome === 'let in')
    .map(({ user, gateway, revokedAt, triedAt }) =>
      lost(
        `the end of a token of ${user}: gateway ${gateway} let its holder in ${triedAt - revokedAt} ms later`,
      ),
    );
}
