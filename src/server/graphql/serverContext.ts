import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import type { Principal } from '../../service/principal.ts';

/** What our side of the server tells Yoga about an operation. */
export interface ServerContext {
  readonly principal: Principal;
  /** What the body says, or what is wrong with it; HTTP POST only. */
  readonly params?: Record<string, unknown> | GraphQLError;
  /** HTTP only. */
  readonly res?: ServerResponse;
  readonly req?: IncomingMessage;
  /** Called when the operation turns out to be a subscription: a stopping server does not wait for those. */
  readonly onStream?: () => void;
}
