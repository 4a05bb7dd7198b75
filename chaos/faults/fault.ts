import type { User } from '../clients/createUser.ts';
import type { FaultName, FaultRecord } from '../history.ts';
import type { Random } from '../random.ts';
import type { World } from '../world/createWorld.ts';

export interface FaultKind {
  readonly name: FaultName;
  /** How often it comes, against the others. */
  readonly weight: number;
  /** What could be struck now. */
  readonly candidates: (scene: Scene) => readonly Candidate[];
}

export interface Candidate {
  /** Two faults never hold the same thing at once. */
  readonly resource: string;
  /** What must stay as it is meanwhile: it may be needed by several at once, and is not struck then. */
  readonly needs?: string;
  readonly on: Partial<Pick<FaultRecord, 'gateway' | 'workerId' | 'user'>>;
  /** Null: there was nothing to strike after all (it had just ended). */
  readonly strike: () => Promise<Strike | null>;
}

export interface Strike {
  /** How long it is left so; 0 where there is nothing to hold. */
  readonly holdMs: number;
  readonly heal: () => Promise<void>;
}

export interface Scene {
  readonly world: World;
  readonly users: readonly User[];
  readonly random: Random;
  /** There is time for faults that stop everything for a minute. */
  readonly isLong: boolean;
  /** Workers' containers that run, as last listed. */
  readonly workers: readonly WorkerContainer[];
}

export interface WorkerContainer {
  readonly workerId: string;
  readonly containerId: string;
}

/** What strikes and is over: the healing is the product's own. */
export const NOTHING_TO_HEAL: Strike = { holdMs: 0, heal: async () => undefined };
