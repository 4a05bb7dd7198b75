import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import type { Principal } from '../../service/principal.ts';

/** The facts about an operation that our code passes to Yoga. */
export interface ServerContext {
  readonly principal: Principal;
  /** The parameters in the body, or the error in it. Set for HTTP POST only. */
  readonly params?: Record<string, unknown> | GraphQLError;
  /** Set for HTTP only. */
  readonly res?: ServerResponse;
  readonly req?: IncomingMessage;
  /** Called if the operation is a subscription, because a stopping server does not wait for subscriptions. */
  readonly onStream?: () => void;
}
