/**
 * The operations, bound to their dependencies. GraphQL and every other protocol call them through this service, so
 * permissions are checked and refusals are counted in one place.
 */
import { setMaxListeners } from 'node:events';
import { createInOrder } from '../async/inOrder.ts';
import { sharedRun } from '../async/sharedRun.ts';
import { DomainError } from '../domain/errors.ts';
import { actorDeps } from './access/actorDeps.ts';
import { insteadOf, PERMISSIONS, type Permission } from './access/permissions.ts';
import { NEVER, tokenEnded, untilTokenEnd } from './access/tokenEnd.ts';
import { MAX_INPUT_CALLS } from './execute/sendInput.ts';
import { requireSealed } from './history/history.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import type { Principal } from './principal.ts';
import type { ServiceDeps } from './serviceDeps.ts';

type Own<Of> = Of extends (deps: never, principal: never, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Each operation as a method for one caller. */
export type BoundService = {
  readonly [Name in keyof typeof OPERATIONS]: Own<(typeof OPERATIONS)[Name]>;
};

/** Each operation as a method whose first argument is the principal. */
export type Operations = {
  readonly [Name in keyof BoundService]: (
    principal: Principal,
    ...args: Parameters<BoundService[Name]>
  ) => ReturnType<BoundService[Name]>;
};

export interface Service extends Operations {
  /** The service for one caller. It is made once for each principal, and a token has one principal for each door. */
  boundTo(principal: Principal): BoundService;
  /**
   * Must be called when the gateway stops. From now on, no call waits for an execution to end. A waiting call that must
   * not be repeated fails with SHUTTING_DOWN, and its code keeps running (waiting.ts).
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
  const made = new WeakMap<Principal, BoundService>();
  const boundTo = (principal: Principal) => {
    const known = made.get(principal);
    if (known) return known;
    const own = bind(all, principal);
    made.set(principal, own);
    return own;
  };
  const operations = Object.keys(OPERATIONS).map((name) => [
    name,
    (principal: Principal, ...args: never[]) =>
      (boundTo(principal)[name as keyof BoundService] as Method)(...args),
  ]);
  return {
    ...(Object.fromEntries(operations) as Operations),
    boundTo,
    stopWaiting: () => stopping.abort(),
  };
}

type Method = (...args: never[]) => unknown;

/** Every call of every protocol passes here: permissions are checked, and refusals are counted. */
function bind(all: ServiceDeps, principal: Principal): BoundService {
  const deps = actorDeps(all, principal);
  const bound = Object.entries<Operation>(OPERATIONS).map(([name, operation]) => {
    const permission: Permission = PERMISSIONS[name as keyof BoundService];
    const count = (error: unknown) => {
      if (error instanceof DomainError) all.refusals.add(principal.tokenId, name, error.code);
    };
    const method: Method = (...args) => {
      try {
        if (principal.tokenEnd.isOver) throw tokenEnded();
        const instead = insteadOf(name, permission, principal, args);
        if (instead !== null) return Promise.resolve(instead.answer);
        const result = operation(deps, principal, ...args);
        // Transports end a stream when the token ends (tokenEnd.ts).
        if (!(result instanceof Promise)) return result;
        const answer = hideTenantUse(principal, untilTokenEnd(principal.tokenEnd, result));
        answer.catch(count);
        return answer;
      } catch (error: unknown) {
        count(error);
        throw error;
      }
    };
    return [name, method];
  });
  return Object.fromEntries(bound) as BoundService;
}

/**
 * The outcome of a call. If a quota of the tenant refuses the call, the error for a caller with the role USER does not
 * contain the tenant's use.
 */
function hideTenantUse<T>(principal: Principal, outcome: Promise<T>): Promise<T> {
  if (principal.role !== 'USER') return outcome;
  return outcome.catch((error: unknown) => {
    throw isOfTenant(error) ? without(error) : error;
  });
}

/**
 * Tests the code instead of the class, because `executeBatch` wraps a QuotaError in a DomainError that names the
 * refused cell.
 */
function isOfTenant(error: unknown): error is DomainError {
  return (
    error instanceof DomainError &&
    error.code === 'QUOTA_EXCEEDED' &&
    error.details.scope === 'TENANT'
  );
}

function without(error: DomainError): DomainError {
  const { used: _, ...details } = error.details;
  return new DomainError(error.code, error.message, details, { cause: error });
}
