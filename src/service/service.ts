/**
 * The operations, bound to what they need. GraphQL and every other protocol call them through this, so permissions are
 * checked and refusals are counted in one place.
 */
import { setMaxListeners } from 'node:events';
import { createInOrder } from '../async/inOrder.ts';
import { sharedRun } from '../async/sharedRun.ts';
import { DomainError } from '../domain/errors.ts';
import { createActorDeps } from './access/actorDeps.ts';
import { PERMISSIONS, type Permission } from './access/permissions.ts';
import { insteadOf } from './access/permitted.ts';
import { NEVER, tokenEnded, untilTokenEnd } from './access/tokenEnd.ts';
import { MAX_INPUT_CALLS } from './execute/sendInput.ts';
import { requireSealed } from './history/requireSealed.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import type { Principal } from './principal.ts';
import { hideTenantUse } from './quotas/hideTenantUse.ts';
import type { ServiceDeps } from './serviceDeps.ts';

/** An operation without its first parameter, the dependencies. */
type Bound<Of> = Of extends (deps: never, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Each operation as a method whose first argument is the principal. */
export type Operations = {
  readonly [Name in keyof typeof OPERATIONS]: Bound<(typeof OPERATIONS)[Name]>;
};

export interface Service extends Operations {
  /**
   * Must be called when the gateway stops. From now on, no call waits for an execution to end. A waiting call that must
   * not be repeated fails with SHUTTING_DOWN, and its code keeps running (unlessStopping.ts).
   */
  stopWaiting(): void;
}

/** Creates the service from its dependencies. Each gateway has one. */
export function createService(
  deps: Omit<ServiceDeps, 'stopping' | 'inputCalls' | 'tokenEnd' | 'requireSealed'>,
): Service {
  const stopping = new AbortController();
  // Each waiting call adds a listener. From the eleventh on, Node would warn of a leak.
  setMaxListeners(0, stopping.signal);
  const inputCalls = createInOrder(MAX_INPUT_CALLS);
  const all: ServiceDeps = {
    ...deps,
    inputCalls,
    requireSealed: sharedRun(() => requireSealed(deps.database)),
    stopping: stopping.signal,
    tokenEnd: NEVER,
  };
  const depsOf = createActorDeps(all);
  const bound = Object.entries(OPERATIONS).map(([name, operation]) => [
    name,
    bind(name as keyof typeof OPERATIONS, operation, all, depsOf),
  ]);
  return {
    ...(Object.fromEntries(bound) as Operations),
    stopWaiting: () => stopping.abort(),
  };
}

/** Wraps an operation, so that each call first checks what the principal may do, and counts a refusal. */
function bind(
  name: keyof typeof OPERATIONS,
  operation: Operation,
  { refusals }: ServiceDeps,
  depsOf: (principal: Principal) => ServiceDeps,
): Bound<Operation> {
  const permission: Permission = PERMISSIONS[name];
  return (principal, ...args) => {
    const count = (error: unknown) => {
      if (error instanceof DomainError) refusals.add(principal.tokenId, name, error.code);
    };
    try {
      if (principal.tokenEnd.isOver) throw tokenEnded();
      const instead = insteadOf(name, permission, principal, args);
      if (instead !== null) return Promise.resolve(instead.answer);
      const result = operation(depsOf(principal), principal, ...args);
      if (!(result instanceof Promise)) return result;
      const answer = hideTenantUse(principal, untilTokenEnd(principal.tokenEnd, result));
      answer.catch(count);
      return answer;
    } catch (error: unknown) {
      count(error);
      throw error;
    }
  };
}
