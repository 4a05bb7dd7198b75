/** Faults of the connection between a gateway and PostgreSQL. */
import type { Wire } from '../world/createWire.ts';
import {
  type Candidate,
  type FaultKind,
  NOTHING_TO_HEAL,
  type Scene,
  type Strike,
} from './fault.ts';

const REFUSED_MS = [200, 6_000] as const;
const SLOW_MS = [1_000, 6_000] as const;
/** Delay in each direction. A commit is one round trip, and the renewal of a lease must be answered within 2 s. */
const DELAY_MS = [10, 400] as const;

export const wireFaults: readonly FaultKind[] = [
  {
    name: 'wire: cut',
    weight: 6,
    candidates: forEach((wire) => {
      wire.cut();
      return NOTHING_TO_HEAL;
    }),
  },
  {
    name: 'wire: refused',
    weight: 5,
    candidates: forEach((wire, { random }) => {
      wire.refuse();
      return { holdMs: random.between(...REFUSED_MS), heal: async () => wire.open() };
    }),
  },
  {
    name: 'wire: slow',
    weight: 5,
    candidates: forEach((wire, { random }) => {
      wire.slowDown(random.between(...DELAY_MS));
      return { holdMs: random.between(...SLOW_MS), heal: async () => wire.open() };
    }),
  },
  {
    // Such connections are never repaired: the gateway must detect them itself.
    name: 'wire: half open',
    weight: 4,
    candidates: forEach((wire) => {
      wire.silence();
      return NOTHING_TO_HEAL;
    }),
  },
];

function forEach(strike: (wire: Wire, scene: Scene) => Strike) {
  return (scene: Scene): Candidate[] =>
    scene.world.wires.map((wire, gateway) => ({
      resource: `wire ${gateway}`,
      on: { gateway },
      strike: async () => strike(wire, scene),
    }));
}
