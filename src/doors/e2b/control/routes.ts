/** The API of E2B. */
import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall, DoorDeps } from '../../openDoor.ts';

/** A request to the API. */
export interface ControlCall {
  readonly call: DoorCall;
  /** What its path names. */
  readonly parts: readonly string[];
  readonly deps: DoorDeps;
}

export interface ControlRoute {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, (call: ControlCall) => Promise<void>>>;
}

const CONTROL_ROUTES: readonly ControlRoute[] = [];

export async function serveControl(call: DoorCall, deps: DoorDeps): Promise<void> {
  for (const { path, methods } of CONTROL_ROUTES) {
    const [, ...parts] = path.exec(call.path) ?? [];
    const serve = path.test(call.path) ? methods[call.method] : undefined;
    if (serve !== undefined) return await serve({ call, parts, deps });
  }
  throw new DomainError('NOT_FOUND', `There is no ${call.method} ${call.path} here.`);
}
