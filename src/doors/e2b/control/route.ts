import type { DoorCall, DoorDeps } from '../../openDoor.ts';
import type { Route } from '../../shared/findRoute.ts';

/** A request to the API. */
export interface ControlCall {
  readonly call: DoorCall;
  /** What its path names, which need not be there. `''`: it names no sandbox. */
  readonly sandboxId: string;
  readonly deps: DoorDeps;
}

export type ControlRoute = Route<Serve>;

export type Serve = (call: ControlCall) => Promise<void>;
