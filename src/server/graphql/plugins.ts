/** The plugins of the GraphQL server: limits of documents, exact numbers, masked errors and streams of events. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import {
  type ExecutionResult,
  GraphQLError,
  NoSchemaIntrospectionCustomRule,
  parse,
} from 'graphql';
import type { Plugin, YogaServerOptions } from 'graphql-yoga';
import type { Config } from '../../config/config.ts';
import { jsonText } from '../../domain/exactJson.ts';
import type { SchemaContext } from '../../schema/context.ts';
import { type TokenEnd, tokenEnded } from '../../service/access/tokenEnd.ts';
import type { Principal } from '../../service/principal.ts';
import { type ErrorMask, useOneCode, withoutHttp } from './maskErrors.ts';

// Limits of one GraphQL document.

export type QueryLimits = Pick<
  Config,
  | 'maxQueryDepth'
  | 'maxQueryAliases'
  | 'maxQueryDirectives'
  | 'maxQueryTokens'
  | 'maxQueryCost'
  | 'introspection'
>;

/** Refuses a document with more than `maxTokens` lexical tokens while it is parsed. */
function useMaxTokens(maxTokens: number): Plugin {
  const boundedParse: typeof parse = (source, options) => parse(source, { ...options, maxTokens });
  return { onParse: ({ setParseFn }) => setParseFn(boundedParse) };
}

/** Refuses introspection queries if `introspection` is off. */
function useIntrospection(introspection: 'on' | 'off'): Plugin {
  if (introspection === 'on') return {};
  return {
    onValidate: ({ addValidationRule }) => addValidationRule(NoSchemaIntrospectionCustomRule),
  };
}

// Reads the GraphQL parameters from a request's body.

/** Makes Yoga use the body that the HTTP handler has already read. */
function useReadBody(): Plugin<object, ServerContext> {
  return {
    onRequestParse({ serverContext: { params }, setRequestParser }) {
      if (params === undefined) return;
      setRequestParser(() => {
        if (params instanceof GraphQLError) throw params;
        return params;
      });
    },
  };
}

/** The parameters in the JSON body of a request, or the error if it is not a JSON object. */
export function bodyParams(text: string): Record<string, unknown> | GraphQLError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error: unknown) {
    return badBody(`The body is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return badBody('The body must be one JSON object with `query`; batches are not supported.');
  return { ...body };
}

function badBody(message: string): GraphQLError {
  return new GraphQLError(message, {
    extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
  });
}

// Writes results over HTTP with all digits of their whole numbers. For WebSockets see
// src/server/webSocket/webSocketOperations.ts.

/** Handles single answers. Streams pass each of their results to {@link withExactNumbers} themselves. */
function useExactResults(): Plugin {
  return {
    onResultProcess({ result, setResult }) {
      if (!(Symbol.asyncIterator in result) && !Array.isArray(result))
        setResult(withExactNumbers(result));
    },
  };
}

/** The result, with a `stringify` that Yoga calls to write it. */
function withExactNumbers<Result extends ExecutionResult>(result: Result) {
  return { ...result, stringify: jsonText };
}

// Adds two things to Yoga's server-sent events: they end when the client disconnects, and when the stream fails.

/** How long a stream may take to send its last event after its token has ended. */
const LAST_EVENT_MS = 250;

type Results = AsyncIterator<ExecutionResult>;

/**
 * Ends a stream's source when its connection is closed, also if that happened before the source existed. If the source
 * fails, or the caller's token ends, the error is sent as the last event, and then the connection is cut. Without this,
 * Yoga would leave the connection open and silent. The stream is not completed, because it is not over: the client
 * resubscribes from its last seq.
 */
function useSentStreams(errorMask: ErrorMask): Plugin<ServerContext> {
  return {
    onSubscribe({ args }) {
      const { res, onStream, principal }: ServerContext = args.contextValue;
      onStream?.();
      return {
        onSubscribeResult({ result, setResult }) {
          if (!res || !(Symbol.asyncIterator in result)) return;
          const source: Results = result[Symbol.asyncIterator]();
          if (res.closed) void source.return?.();
          else res.once('close', () => void source.return?.());
          const { tokenEnd } = principal;
          const off = tokenEnd.on(() => endSoon(source, res));
          res.once('close', off);
          setResult(tellingFailure(source, tokenEnd, { errorMask, res }));
        },
      };
    },
  };
}

function tellingFailure(
  source: Results,
  tokenEnd: TokenEnd,
  { errorMask, res }: { readonly errorMask: ErrorMask; readonly res: ServerResponse },
): AsyncIterableIterator<ExecutionResult> {
  let hasFailed = false;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (hasFailed) return await cut(res);
      try {
        const next = await source.next();
        if (next.done && tokenEnd.isOver) throw tokenEnded();
        return next.done ? next : { done: false, value: withExactNumbers(next.value) };
      } catch (error: unknown) {
        hasFailed = true;
        return { done: false, value: { errors: [withoutHttp(errorMask.mask(error))] } };
      }
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
}

/**
 * Ends the source, so that the stream sends its last event. Cuts the connection if the client does not read that event
 * in time.
 */
function endSoon(source: Results, res: ServerResponse): void {
  void source.return?.();
  const timer = setTimeout(() => res.destroy(), LAST_EVENT_MS);
  res.once('close', () => clearTimeout(timer));
}

/** Cuts the connection once the last event is written. That is now, or when the connection has drained. */
function cut(res: ServerResponse): Promise<never> {
  const end = () => setImmediate(() => res.destroy());
  if (res.writableNeedDrain) res.once('drain', end);
  else end();
  return new Promise(() => undefined);
}

type Plugins = NonNullable<YogaServerOptions<ServerContext, SchemaContext>['plugins']>;

interface PluginsDeps {
  readonly limits: QueryLimits;
  readonly errorMask: ErrorMask;
}

/**
 * Yoga's plugins, in the order in which a request passes them: request, parsing, validation, execution. Operations of a
 * WebSocket skip the request plugins. The error of each limit names the limit and its value. Except for
 * MAX_QUERY_TOKENS, it also names the actual value. `__schema` does not count towards depth or cost.
 */
export function createPlugins({ limits, errorMask }: PluginsDeps): Plugins {
  return [
    // The request. CSRF prevention comes first, because another site's page cannot set these headers.
    useCSRFPrevention({ requestHeaders: ['x-auth-token', 'authorization'] }),
    useReadBody(),

    // Parsing. Everything below visits the whole document, so its length is bounded first.
    useMaxTokens(limits.maxQueryTokens),

    // Validation. The cheapest limits come first. Cost comes last, because it counts every field of every fragment.
    maxDepthPlugin({ n: limits.maxQueryDepth, flattenFragments: true }),
    maxAliasesPlugin({ n: limits.maxQueryAliases }),
    maxDirectivesPlugin({ n: limits.maxQueryDirectives }),
    costLimitPlugin({ maxCost: limits.maxQueryCost, flattenFragments: true }),
    useIntrospection(limits.introspection),
    // After all validation rules, because it changes their errors.
    useOneCode(),

    // Execution. This is for server-sent events only; graphql-ws handles the streams of WebSockets.
    useSentStreams(errorMask),

    // The answer.
    useExactResults(),
  ];
}

/** The facts about an operation that our code passes to Yoga. */
export interface ServerContext {
  readonly principal: Principal;
  /** The parameters in the body, or the error in it. Set for HTTP POST only. */
  readonly params?: Record<string, unknown> | GraphQLError;
  /** Set for HTTP only. */
  readonly res?: ServerResponse;
  readonly req?: IncomingMessage;
  /** Aborted when the connection is closed before the answer is sent. */
  readonly gone?: AbortSignal;
  /** Called if the operation is a subscription, because a stopping server does not wait for subscriptions. */
  readonly onStream?: () => void;
}
