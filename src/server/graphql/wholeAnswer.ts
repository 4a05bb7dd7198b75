/**
 * Answers requests whose answer is a single piece. Most requests are of this kind. They pass through Yoga and all its
 * plugins, but not through Yoga's adapter for Node. The adapter wraps each request in Fetch objects, streams and abort
 * signals that nothing here uses.
 * Checked against graphql-yoga 5.24.1.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { type Compress, MIN_COMPRESSED_BYTES } from '../http/compress.ts';
import type { GraphqlHttp } from './graphqlHttp.ts';
import type { ServerContext } from './serverContext.ts';

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

export interface WholeAnswer {
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
