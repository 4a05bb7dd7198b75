/** What resolvers get with each request. They know the service and nothing below it. */
import type { InterpreterService, Principal } from '../service/service.ts';
import { createLoaders } from './loaders.ts';
import { createResponse, type Response } from './response.ts';

export interface SchemaDeps {
  readonly service: InterpreterService;
  /** Aborted when the gateway will not wait for unfinished calls any longer. */
  readonly stopping: AbortSignal;
  readonly maxResponseBytes: number;
}

export interface SchemaContext extends SchemaDeps {
  readonly principal: Principal;
  /**
   * What belongs to one response: a query's or mutation's whole, or one event of a subscription (which is the
   * `rootValue` of that event's execution; a query has none).
   */
  response(rootValue: unknown): Response;
}

/** One per operation. */
export function createSchemaContext(deps: SchemaDeps, principal: Principal): SchemaContext {
  const newResponse = () =>
    createResponse(createLoaders(deps.service, principal), deps.maxResponseBytes);
  let perEvent: WeakMap<object, Response> | undefined;
  let whole: Response | undefined;

  return {
    principal,
    response(rootValue) {
      if (typeof rootValue !== 'object' || rootValue === null) {
        whole ??= newResponse();
        return whole;
      }
      perEvent ??= new WeakMap();
      const known = perEvent.get(rootValue);
      if (known) return known;
      const response = newResponse();
      perEvent.set(rootValue, response);
      return response;
    },
    // Last: V8 makes an object that begins with a spread much more slowly.
    ...deps,
  };
}
