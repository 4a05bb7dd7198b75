import type { Gateway } from '../world/createGateway.ts';
import type { Candidate, FaultKind, Scene, Strike } from './fault.ts';

/** From far less to far more than the life of a lease (2 s), after which another gateway takes over. */
const STOPPED_MS = [300, 9_000] as const;
/** How long a dead gateway stays away: a supervisor restarts it quickly, a reboot of the machine takes longer. */
const AWAY_MS = [0, 4_000] as const;

export const gatewayFaults: readonly FaultKind[] = [
  {
    name: 'gateway: kill -9',
    weight: 8,
    candidates: forEach((gateway, { random }) => {
      end(gateway, 'SIGKILL');
      return { holdMs: random.between(...AWAY_MS), heal: back(gateway) };
    }),
  },
  {
    name: 'gateway: SIGTERM',
    weight: 6,
    candidates: forEach((gateway, { random }) => {
      end(gateway, 'SIGTERM');
      return { holdMs: random.between(...AWAY_MS), heal: back(gateway) };
    }),
  },
  {
    name: 'gateway: SIGSTOP, SIGCONT',
    weight: 8,
    candidates: forEach((gateway, { random }) => {
      gateway.signal('SIGSTOP');
      return {
        holdMs: random.between(...STOPPED_MS),
        heal: async () => gateway.signal('SIGCONT'),
      };
    }),
  },
];

function forEach(strike: (gateway: Gateway, scene: Scene) => Strike) {
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
