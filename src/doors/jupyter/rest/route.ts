import type { DoorCall } from '../../openDoor.ts';
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

type Handle = (rest: RestCall) => Promise<void> | void;

export interface Route {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Handle>>;
}
