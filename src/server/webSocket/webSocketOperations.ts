/** Passes operations that arrive over a WebSocket through the same pipeline as those over HTTP. */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import {
  type ExecutionArgs,
  type GraphQLError,
  type GraphQLFormattedError,
  getOperationAST,
} from 'graphql';
import type { Context, ServerOptions, SubscribePayload } from 'graphql-ws';
import { DomainError } from '../../domain/errors.ts';
import { holds, isBigInt } from '../../domain/exactJson.ts';
import type { Principal } from '../../service/principal.ts';
import type { GraphqlHttp } from '../graphql/graphqlHttp.ts';
import { type ErrorMask, withoutHttp } from '../graphql/maskErrors.ts';
import type { InFlight } from '../http/openAnswers.ts';

// Lets graphql-ws send whole numbers that doubles cannot hold. It writes messages with `JSON.stringify`, which refuses
// a `bigint`, and a replacer would be called for every value of every message. So each `bigint` becomes a string with a
// mark before the digits, and in the written message each marked string is replaced with its digits.

interface MarkedNumbers {
  /** The same value, with each `bigint` as a marked string. */
  marked<T>(value: T): T;
  /** The message, with each marked string replaced with its digits. */
  unmarked(message: string): string;
}

export function createMarkedNumbers(): MarkedNumbers {
  // The mark never leaves this process, so no user's text contains it.
  const mark = randomUUID();
  const markedText = new RegExp(`"${mark}(-?\\d+)"`, 'g');
  const asText = (_key: string, value: unknown) => (isBigInt(value) ? `${mark}${value}` : value);
  return {
    marked: (value) => (holds(value, isBigInt) ? JSON.parse(JSON.stringify(value, asText)) : value),
    unmarked: (message) => (message.includes(mark) ? message.replace(markedText, '$1') : message),
  };
}

export interface OperationsDeps {
  readonly graphql: GraphqlHttp;
  readonly errorMask: ErrorMask;
  readonly inFlight: InFlight;
}

/** State of one connection. */
export interface SocketExtra {
  readonly headers: IncomingHttpHeaders;
  /** The address of the client. */
  readonly address: string;
  principal: Principal | null;
  /** Aborted when the connection is closed. */
  readonly gone: AbortSignal;
  /** Closes the connection when the token ends. */
  readonly holdTo: (token: Principal['tokenEnd']) => void;
  /** Closes the connection, because its token cannot be checked at the moment. */
  readonly tryLater: () => void;
  /**
   * The calls in flight, by the payload of the message that began each. An id would not do: a client may complete a call
   * that still runs, and give its id to another one. Each function tells `InFlight` that its call has ended.
   */
  readonly calls: Map<SubscribePayload, () => void>;
  /** Called when a call has ended: after its result is sent, but before the `complete` message that follows it. */
  readonly onCallEnd: () => void;
}

type Params = Record<string, unknown>;
type SocketContext = Context<Params, SocketExtra>;

/** Limits how much memory one connection can use up with operations whose answers it never reads. */
const MAX_OPERATIONS_PER_CONNECTION = 256;

type Enveloped = ReturnType<GraphqlHttp['getEnveloped']>;

/** Passed along as `rootValue`, because `execute` and `subscribe` get nothing else that could carry it. */
interface Pipeline {
  readonly execute: Enveloped['execute'];
  readonly subscribe: Enveloped['subscribe'];
}

/** @param numbers marks numbers in results; the caller must unmark each message that it sends */
export function webSocketOperations(
  deps: OperationsDeps,
  numbers: MarkedNumbers,
): ServerOptions<Params, SocketExtra> {
  const { graphql, errorMask, inFlight } = deps;

  async function prepare(
    { extra, subscriptions }: SocketContext,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | GraphQLError[]> {
    const { principal } = extra;
    if (!principal) throw new Error('An operation on a connection without a principal.');
    // If it is unknown whether the token is still valid, the operation waits here. Operations that have waited together
    // are all counted before the first of them is checked below. So if they are too many, all of them are refused.
    const known = principal.tokenEnd.fresh();
    if (known !== null) await known;
    if (Object.keys(subscriptions).length > MAX_OPERATIONS_PER_CONNECTION)
      return [errorMask.mask(tooManyOperations())];

    const pipeline = graphql.getEnveloped({ principal, params: payload, gone: extra.gone });
    const document = pipeline.parse(payload.query);
    const problems = pipeline.validate(pipeline.schema, document);
    if (problems.length > 0) return [...problems];
    const contextValue = await pipeline.contextFactory();
    const operation = getOperationAST(document, payload.operationName)?.operation;
    if (operation && operation !== 'subscription') extra.calls.set(payload, inFlight.begin());
    return {
      schema: pipeline.schema,
      document,
      operationName: payload.operationName,
      variableValues: payload.variables,
      contextValue,
      rootValue: pipeline satisfies Pipeline,
    };
  }

  return {
    execute: (args) => (args.rootValue as Pipeline).execute(args),
    subscribe: (args) => (args.rootValue as Pipeline).subscribe(args),
    async onSubscribe(context, _id, payload) {
      try {
        return await prepare(context, payload);
      } catch (error: unknown) {
        return [errorMask.mask(error)];
      }
    },
    onNext(_context, _id, _payload, _args, { data, errors }) {
      const marked = numbers.marked(data);
      if (!errors && marked === data) return;
      return {
        ...(errors && { errors: toWire(errors, errorMask) }),
        ...(marked !== undefined && { data: marked }),
      };
    },
    onError: (_context, _id, _payload, errors) => toWire(errors, errorMask),
    onComplete({ extra: { calls, onCallEnd } }, _id, payload) {
      calls.get(payload)?.();
      if (calls.delete(payload)) onCallEnd();
    },
  };
}

function toWire(errors: readonly GraphQLError[], errorMask: ErrorMask): GraphQLFormattedError[] {
  return errors.map((error) => withoutHttp(errorMask.mask(error)).toJSON());
}

function tooManyOperations(): DomainError {
  return new DomainError(
    'QUOTA_EXCEEDED',
    `There are more than ${MAX_OPERATIONS_PER_CONNECTION} operations on this connection. Open another one.`,
    { limit: MAX_OPERATIONS_PER_CONNECTION },
  );
}
