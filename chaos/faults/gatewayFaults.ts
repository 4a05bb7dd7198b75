/** Faults of the gateways themselves, and revoked tokens, which all gateways must refuse. */

import { pause } from '../../src/async/pause.ts';
import { attempt } from '../clients/calls.ts';
import type { TokenTry } from '../history.ts';
import type { Gateway } from '../world/createGateway.ts';
import {
  type Candidate,
  type FaultKind,
  NOTHING_TO_HEAL,
  type Scene,
  type Strike,
} from './fault.ts';

/** From far less to far more than the life of a lease (2 s), after which another gateway takes over. */
const STOPPED_MS = [300, 9_000] as const;
/** How long a dead gateway stays away: a supervisor restarts it quickly, a reboot of the machine takes longer. */
const AWAY_MS = [0, 4_000] as const;

export const gatewayFaults: readonly FaultKind[] = [
  {
    name: 'gateway: kill -9',
    weight: 8,
    candidates: forEachGateway((gateway, { random }) => {
      end(gateway, 'SIGKILL');
      return { holdMs: random.between(...AWAY_MS), heal: back(gateway) };
    }),
  },
  {
    name: 'gateway: SIGTERM',
    weight: 6,
    candidates: forEachGateway((gateway, { random }) => {
      end(gateway, 'SIGTERM');
      return { holdMs: random.between(...AWAY_MS), heal: back(gateway) };
    }),
  },
  {
    name: 'gateway: SIGSTOP, SIGCONT',
    weight: 8,
    candidates: forEachGateway((gateway, { random }) => {
      gateway.signal('SIGSTOP');
      return {
        holdMs: random.between(...STOPPED_MS),
        heal: async () => gateway.signal('SIGCONT'),
      };
    }),
  },
];

function forEachGateway(strike: (gateway: Gateway, scene: Scene) => Strike) {
  return (scene: Scene): Candidate[] =>
    scene.world.gateways.map((gateway) => ({
      resource: `gateway ${gateway.index}`,
      on: { gateway: gateway.index },
      strike: async () => (gateway.pid === null ? null : strike(gateway, scene)),
    }));
}

function end(gateway: Gateway, signal: NodeJS.Signals): void {
  gateway.hold();
  gateway.signal(signal);
}

function back(gateway: Gateway): () => Promise<void> {
  return async () => gateway.resume();
}

// Gives a user another token, revokes the former one, and then tries the revoked token at every gateway.

/** This long after the answer to the revocation, no gateway accepts the token: docs/run/access.md promises it. */
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
