import type { User } from '../clients/createUser.ts';
import type { FaultName, FaultRecord, TokenTry } from '../history.ts';
import type { Random } from '../random.ts';
import type { World } from '../world/createWorld.ts';

export interface FaultKind {
  readonly name: FaultName;
  /** How often it is chosen, relative to the other kinds. */
  readonly weight: number;
  /** The targets that could be struck now. */
  readonly candidates: (scene: Scene) => readonly Candidate[];
}

export interface Candidate {
  /** The target. Two faults never hold the same target at the same time. */
  readonly resource: string;
  /** A second target, which no fault may hold meanwhile. Several faults may need the same second target. */
  readonly needs?: string;
  readonly on: Partial<Pick<FaultRecord, 'gateway' | 'workerId' | 'user'>>;
  /** Null: the target had just ended, so nothing was struck. */
  readonly strike: () => Promise<Strike | null>;
}

export interface Strike {
  /** How long the fault lasts before it is healed. 0: it is momentary, and is not healed. */
  readonly holdMs: number;
  readonly heal: () => Promise<void>;
}

export interface Scene {
  readonly world: World;
  readonly users: readonly User[];
  readonly random: Random;
  readonly recordTry: (each: TokenTry) => void;
  /** Aborting it ends everything immediately. */
  readonly signal: AbortSignal;
  /** The run is long enough for faults that stop everything for a minute. */
  readonly isLong: boolean;
  /** The running containers of workers. */
  readonly workers: readonly WorkerContainer[];
}

export interface WorkerContainer {
  readonly workerId: string;
  readonly containerId: string;
}

/** A momentary fault, from which Cellhouse must recover by itself. */
export const NOTHING_TO_HEAL: Strike = { holdMs: 0, heal: async () => undefined };
