import { OPERATIONS } from '../service/operations.ts';
import type { Principal } from '../service/principal.ts';
import type { Operations } from '../service/service.ts';

/** The service for one caller: every operation without its first argument, the principal. */
export type BoundService = {
  readonly [Name in keyof Operations]: Operations[Name] extends (
    principal: Principal,
    ...args: infer Args
  ) => infer Result
    ? (...args: Args) => Result
    : never;
};

/** Binds the service to callers, once for each: a token has one principal for each door. */
export function createBindService(service: Operations): (principal: Principal) => BoundService {
  const bound = new WeakMap<Principal, BoundService>();
  return (principal) => {
    const known = bound.get(principal);
    if (known) return known;
    const own = Object.fromEntries(
      Object.keys(OPERATIONS).map((name) => {
        const operation = service[name as keyof Operations] as (...args: unknown[]) => unknown;
        return [name, (...args: unknown[]) => operation(principal, ...args)];
      }),
    ) as BoundService;
    bound.set(principal, own);
    return own;
  };
}
