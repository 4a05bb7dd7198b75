/** GraphQL Yoga, set up for this service; used by HTTP as a handler and by WebSockets for its pipeline. */
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
  /** Answers any request, through Yoga's adapter for Node. */
  serve(req: IncomingMessage, res: ServerResponse, context: ServerContext): Promise<void>;
  /** Yoga itself, without its adapter: hooks of plugins around that (`onRequest`, `onResponse`) are not called. */
  handle(request: Request, context: ServerContext): Promise<Response>;
}

export interface GraphqlHttpDeps {
  readonly service: Service;
  readonly errorMask: ErrorMask;
  readonly limits: QueryLimits;
  readonly logger: Logger;
}

/** Documents of clients are few and small; one with code written into it is neither, and is parsed each time. */
const MAX_CACHED_DOCUMENT_CHARACTERS = 16_384;
const MAX_CACHED_DOCUMENTS = 512;

export function createGraphqlHttp(deps: GraphqlHttpDeps): GraphqlHttp {
  const { service, errorMask, limits } = deps;
  const inner = innerHandler();
  const yoga: Yoga = createYoga<ServerContext, SchemaContext>({
    schema,
    context: ({ principal }) => createSchemaContext(service, principal),
    graphqlEndpoint: '/graphql',
    // The page, the body's size and other origins are dealt with before Yoga is asked, or not allowed at all.
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

/** What Yoga's adapter hides, the handler within it: its plugin hooks into nothing that a request passes. */
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
    // Yoga reports each masked error as well, up to twice.
    error: (error: unknown) => {
      if (!errorMask.isHandled(error)) logger.error({ err: error }, 'GraphQL over HTTP failed.');
    },
  };
}

/** A cache of what was made of small documents. */
function smallDocuments<T extends object>() {
  const cache = createLRUCache<T>({ max: MAX_CACHED_DOCUMENTS });
  return {
    get: (document: string): T | undefined => cache.get(document),
    set(document: string, made: T): void {
      if (document.length <= MAX_CACHED_DOCUMENT_CHARACTERS) cache.set(document, made);
    },
  };
}
