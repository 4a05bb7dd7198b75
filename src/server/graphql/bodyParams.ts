/** Reads the GraphQL parameters from a request's body. */
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { ServerContext } from './serverContext.ts';

/** Makes Yoga use the body that the HTTP handler has already read. */
export function useReadBody(): Plugin<object, ServerContext> {
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
