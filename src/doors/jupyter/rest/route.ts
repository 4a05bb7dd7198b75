import type { DoorCall } from '../../openDoor.ts';
import type { Route } from '../../shared/findRoute.ts';
import type { Connections } from '../connections.ts';
import type { Kernels } from '../kernels.ts';

/** A call of this door. */
export interface RestCall {
  readonly call: DoorCall;
  readonly kernels: Kernels;
  readonly connections: Connections;
  /** When this gateway began. */
  readonly startedAt: Date;
  /** The variable part of the path, decoded. */
  readonly id: string;
}

export type RestRoute = Route<(rest: RestCall) => Promise<void> | void>;
