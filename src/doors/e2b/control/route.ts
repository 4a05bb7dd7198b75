import type { DoorCall, DoorDeps } from '../../openDoor.ts';

/** A request to the API. */
export interface ControlCall {
  readonly call: DoorCall;
  /** What its path names: the groups of the route's expression. */
  readonly parts: readonly string[];
  readonly deps: DoorDeps;
}

export interface ControlRoute {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Serve>>;
}

export type Serve = (call: ControlCall) => Promise<void>;
