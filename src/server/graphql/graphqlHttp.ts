/** Sets up GraphQL Yoga for this service. HTTP uses it as a handler; WebSockets use only its pipeline. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DocumentNode } from 'graphql';
import {
  createLRUCache,
  createYoga,
  type Plugin,
  type YogaLogger,
  type YogaServerInstance,
} from 'graphql-yoga';
import type { Logger } from 'pino';
import { createSchemaContext, type SchemaContext } from '../../schema/context.ts';
import { schema } from '../../schema/index.ts';
import type { Service } from '../../service/service.ts';
import type { ErrorMask } from './maskErrors.ts';
import { createPlugins } from './plugins.ts';
import type { QueryLimits } from './queryLimits.ts';
import type { ServerContext } from './serverContext.ts';

type Yoga = YogaServerInstance<ServerContext, SchemaContext>;

export interface GraphqlHttp extends Pick<Yoga, 'getEnveloped'> {
  /** Answers any request through Yoga's adapter for Node. */
  serve(req: IncomingMessage, res: ServerResponse, context: ServerContext): Promise<void>;
  /** Calls Yoga without its adapter. The plugin hooks around the adapter (`onRequest`, `onResponse`) are not called. */
  handle(request: Request, context: ServerContext): Promise<Response>;
}

export interface GraphqlHttpDeps {
  readonly service: Service;
  readonly errorMask: ErrorMask;
  readonly limits: QueryLimits;
  readonly logger: Logger;
}

/**
 * Only small documents are cached. Most clients send few, small ones. A document with code written into it is large and
 * different each time, so it is always parsed.
 */
const MAX_CACHED_DOCUMENT_CHARACTERS = 16_384;
const MAX_CACHED_DOCUMENTS = 512;

export function createGraphqlHttp(deps: GraphqlHttpDeps): GraphqlHttp {
  const { service, errorMask, limits } = deps;
  const inner = innerHandler();
  const yoga: Yoga = createYoga<ServerContext, SchemaContext>({
    schema,
    context: ({ principal }) => createSchemaContext(service, principal),
    graphqlEndpoint: '/graphql',
    // These features are handled before Yoga gets the request, or are not supported at all.
    graphiql: false,
    landingPage: false,
    maxRequestBodySize: false,
    cors: false,
    multipart: false,
    batching: false,
    parserAndValidationCache: {
      documentCache: smallDocuments<DocumentNode>(),
      errorCache: smallDocuments<object>(),
    },
    maskedErrors: { maskError: (error) => errorMask.mask(error) },
    logging: yogaLogger(deps),
    plugins: [...createPlugins({ limits, errorMask }), inner.plugin],
  });
  return {
    getEnveloped: yoga.getEnveloped,
    serve: async (req, res, context) => yoga(req, res, context),
    handle: inner.handle,
  };
}

/** Gets the handler that Yoga's adapter hides. The plugin only stores it, and adds no hook to requests. */
function innerHandler() {
  type Handle = GraphqlHttp['handle'];
  let handle: Handle = () => {
    throw new Error('Yoga is not made yet.');
  };
  const plugin: Plugin<object, ServerContext> = {
    onYogaInit({ yoga }) {
      handle = yoga.handle as Handle;
    },
  };
  return { plugin, handle: ((request, context) => handle(request, context)) satisfies Handle };
}

function yogaLogger({ logger, errorMask }: GraphqlHttpDeps): YogaLogger {
  return {
    debug: () => undefined,
    info: (...facts: unknown[]) => logger.info(facts.map(String).join(' ')),
    warn: (...facts: unknown[]) => logger.warn(facts.map(String).join(' ')),
    // Yoga also reports each masked error, up to twice. The mask has logged these errors already.
    error: (error: unknown) => {
      if (!errorMask.isHandled(error)) logger.error({ err: error }, 'GraphQL over HTTP failed.');
    },
  };
}

/** A cache of results for small documents. */
function smallDocuments<T extends object>() {
  const cache = createLRUCache<T>({ max: MAX_CACHED_DOCUMENTS });
  return {
    get: (document: string): T | undefined => cache.get(document),
    set(document: string, made: T): void {
      if (document.length <= MAX_CACHED_DOCUMENT_CHARACTERS) cache.set(document, made);
    },
  };
}
