/** Revokes the token of a user, who has got another one before, and then tries the former at every gateway. */
import { pause } from '../../src/async/pause.ts';
import { attempt } from '../clients/calls.ts';
import type { TokenTry } from '../history.ts';
import { type FaultKind, NOTHING_TO_HEAL, type Scene } from './fault.ts';

/** From the answer of the gateway that revokes it, until no gateway lets its holder in. docs/run/access.md promises it. */
const REVOKED_WITHIN_MS = 1_000;
/** A gateway that is paused (SIGSTOP) does not answer until it goes on. */
const TRY_LIMIT_MS = 10_000;

const QUERY = {
  query: '{ done: poolStatus { idleWorkers } }',
  variables: {},
  answerOf: () => true,
} as const;

export const accessFaults: readonly FaultKind[] = [
  {
    name: 'token: revoked',
    weight: 8,
    candidates: (scene) =>
      scene.users.map(({ name, access }) => ({
        resource: `token of ${name}`,
        on: { user: name },
        strike: async () => {
          const secret = await access.replace();
          const revokedAt = Date.now();
          await pause(REVOKED_WITHIN_MS, scene.signal);
          const tries = scene.world.gateways.map(async ({ url, index }) => {
            const triedAt = Date.now();
            const outcome = await tryToken(scene, url, secret);
            scene.recordTry({ user: name, gateway: index, revokedAt, triedAt, outcome });
          });
          await Promise.all(tries);
          return NOTHING_TO_HEAL;
        },
      })),
  },
];

async function tryToken(
  { signal }: Scene,
  url: string,
  secret: string,
): Promise<TokenTry['outcome']> {
  const limit = AbortSignal.any([AbortSignal.timeout(TRY_LIMIT_MS), signal]);
  const outcome = await attempt(url, secret, QUERY, limit).catch(() => null);
  if (outcome && 'answer' in outcome) return 'let in';
  return outcome && 'refusal' in outcome ? 'refused' : 'no answer';
}
