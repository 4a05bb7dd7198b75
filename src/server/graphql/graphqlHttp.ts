/** Sets up GraphQL Yoga for this service. HTTP uses it as a handler; WebSockets use only its pipeline. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, GraphQLError } from 'graphql';
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
import { type Compress, MIN_COMPRESSED_BYTES } from '../http/compress.ts';
import type { ErrorMask } from './maskErrors.ts';
import { createPlugins, type QueryLimits, type ServerContext } from './plugins.ts';

// Answers requests whose answer is a single piece. Most requests are of this kind. They pass through Yoga and all its
// plugins, but not through Yoga's adapter for Node. The adapter wraps each request in Fetch objects, streams and abort
// signals that nothing here uses.
// Checked against graphql-yoga 5.24.1.

/** If a client accepts one of these types, Yoga may send a single result as a stream. */
const STREAM_TYPES = /event-stream|multipart|mixed|text\/\*/i;

/** Whether the answer is a single piece. False: it may be a stream, or the request is left to the adapter. */
export function asksForWhole(
  { url, headers }: IncomingMessage,
  { params }: ServerContext,
): boolean {
  if (url !== '/graphql' || params === undefined) return false;
  if (STREAM_TYPES.test(headers.accept ?? '')) return false;
  if (params instanceof GraphQLError || typeof params.query !== 'string') return true;
  // The word may also appear elsewhere in the document. Then the adapter answers, which only takes a little longer.
  return !params.query.includes('subscription');
}

interface WholeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function wholeAnswer(
  graphql: GraphqlHttp,
  { url, method, headers }: IncomingMessage,
  context: ServerContext,
): Promise<WholeAnswer> {
  // Yoga and its plugins use only these parts of a Request.
  const request = { url, method, headers: namesOf(headers) } as unknown as Request;
  const response = await graphql.handle(request, context);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
}

function namesOf(headers: IncomingHttpHeaders): Pick<Headers, 'get' | 'has'> {
  return {
    get: (name) => headers[name.toLowerCase()]?.toString() ?? null,
    has: (name) => headers[name.toLowerCase()] !== undefined,
  };
}

/** Sends the answer, compressed if it is large enough. Does nothing if the caller has disconnected. */
export function sendWhole(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: WholeAnswer,
  compress: Compress,
): void {
  if (res.destroyed) return;
  const bytes = Buffer.byteLength(body);
  if (bytes >= MIN_COMPRESSED_BYTES) compress(req, res);
  else res.appendHeader('Vary', 'Accept-Encoding');
  res.writeHead(status, { 'content-length': bytes, ...headers });
  res.end(body);
}

type Yoga = YogaServerInstance<ServerContext, SchemaContext>;

export interface GraphqlHttp extends Pick<Yoga, 'getEnveloped'> {
  /** Answers any request through Yoga's adapter for Node. */
  serve(req: IncomingMessage, res: ServerResponse, context: ServerContext): Promise<void>;
  /** Calls Yoga without its adapter. The plugin hooks around the adapter (`onRequest`, `onResponse`) are not called. */
  handle(request: Request, context: ServerContext): Promise<Response>;
}

interface GraphqlHttpDeps {
  /** The version of this program. */
  readonly version: string;
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
  const { version, service, errorMask, limits } = deps;
  const inner = innerHandler();
  const yoga: Yoga = createYoga<ServerContext, SchemaContext>({
    schema,
    context: ({ principal, gone }) => createSchemaContext({ version, service, principal, gone }),
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
    // Yoga also reports each masked error, up to twice. The mask has already logged it if necessary.
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
