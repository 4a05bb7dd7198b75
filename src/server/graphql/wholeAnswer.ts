/**
 * The usual request, whose answer is one piece. It goes through all of Yoga with its rules, but not through Yoga's adapter for Node,
 * which puts Fetch's objects, streams and abort signals around each request: nothing here makes use of them.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { type Compress, MIN_COMPRESSED_BYTES } from '../http/compress.ts';
import type { GraphqlHttp } from './graphqlHttp.ts';
import type { ServerContext } from './serverContext.ts';

/** With one of these a single result may be sent as a stream of one. */
const STREAM_TYPES = /event-stream|multipart|mixed|text\/\*/i;

/** False: it may ask for a stream, or comes in a way that is left to the adapter. */
export function asksForWhole(
  { url, headers }: IncomingMessage,
  { params }: ServerContext,
): boolean {
  if (url !== '/graphql' || params === undefined) return false;
  if (STREAM_TYPES.test(headers.accept ?? '')) return false;
  if (params instanceof GraphQLError || typeof params.query !== 'string') return true;
  // The word may be part of something else, too: that costs a little time.
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
  // What Yoga and its plugins look at; of the rest of a Request there is nothing for them to see.
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

/** Compresses only if that is worth it. Nothing, if the caller has gone. */
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
