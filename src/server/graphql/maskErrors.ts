/** Masks errors: a caller sees expected errors unchanged, and others as INTERNAL with an id that is also in the log. */
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import { DomainError } from '../../domain/errors.ts';

/**
 * Removes the refused value from the message of one of GraphQL's own errors. GraphQL repeats a value that does not fit
 * its type. The value may be a secret in an environment variable, and clients write messages into their logs.
 * Checked against graphql 16.15.0.
 */
export function withoutValues(message: string): string {
  return (
    message
      // `String cannot represent a non string value: 7`
      .replace(/^(\w+ cannot represent [^:]*): [\s\S]*$/, '$1.')
      // `Expected value of type "String!", found {a: "b"}.`
      .replace(/^(Expected value of type "[^"]+"), found [\s\S]*\.$/, '$1.')
  );
}

export interface ErrorMask {
  /** Idempotent: a masked error is returned unchanged. */
  mask(error: unknown): GraphQLError;
  /** Whether `mask` has already handled the error, and has logged it if necessary. */
  isHandled(error: unknown): boolean;
}

interface ErrorMaskDeps {
  readonly logger: Logger;
  readonly newErrorId: () => string;
}

export function createErrorMask({ logger, newErrorId }: ErrorMaskDeps): ErrorMask {
  const handled = new WeakSet<object>();
  const masked = new WeakSet<object>();

  function toCaller(error: unknown): GraphQLError {
    const cause = rootOf(error);
    const place = placeOf(error);
    if (cause instanceof DomainError) return ofDomain(cause, place);
    if (cause instanceof GraphQLError) return withCode(cause, place);
    const errorId = newErrorId();
    logger.error({ err: cause, errorId, path: place.path?.join('.') }, 'Unexpected error.');
    return new GraphQLError('Internal error', {
      ...place,
      extensions: { code: 'INTERNAL', errorId, unexpected: true },
    });
  }

  return {
    mask(error) {
      if (error instanceof GraphQLError && masked.has(error)) return error;
      const result = toCaller(error);
      if (typeof error === 'object' && error !== null) handled.add(error);
      masked.add(result);
      return result;
    },
    isHandled: (error) => typeof error === 'object' && error !== null && handled.has(error),
  };
}

/** The original error. GraphQL wraps an error that a resolver throws, to add its place in the document. */
function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof GraphQLError && root.originalError) root = root.originalError;
  return root;
}

function placeOf(error: unknown): GraphQLErrorOptions {
  if (!(error instanceof GraphQLError)) return {};
  const { nodes = null, source = null, positions = null, path = null } = error;
  return { nodes, source, positions, path };
}

function ofDomain(
  { code, message, details }: DomainError,
  place: GraphQLErrorOptions,
): GraphQLError {
  return new GraphQLError(message, {
    ...place,
    extensions: {
      ...details,
      code,
      ...(code === 'UNAUTHENTICATED' && { http: { status: 401 } }),
    },
  });
}

/** Codes that Yoga gives to some of GraphQL's own errors, depending on where they occur. */
const YOGA_CODES: ReadonlySet<unknown> = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);

/**
 * Gives GraphQL's own errors one code, because they all concern the caller's document or variables. An error keeps a
 * code that is not Yoga's.
 */
function withCode(error: GraphQLError, place: GraphQLErrorOptions): GraphQLError {
  const { code } = error.extensions;
  if (code && !YOGA_CODES.has(code)) return error;
  return new GraphQLError(withoutValues(error.message), {
    ...placeOf(error),
    ...(place.path && { path: place.path }),
    extensions: {
      ...error.extensions,
      code: 'BAD_USER_INPUT',
      // The GraphQL-over-HTTP specification requires this status for answers without data. Yoga ignores it for
      // `application/json`.
      ...(!place.path && { http: { spec: true, status: 400, ...error.extensions.http } }),
    },
  });
}

/**
 * Gives validation errors the code BAD_USER_INPUT, and removes values from their messages. These errors bypass the
 * mask, and Yoga would give them its own code.
 */
export function useOneCode(): Plugin {
  return {
    onValidate: () => (validation) => {
      if (validation.valid) return;
      for (const error of validation.result) {
        error.extensions.code = 'BAD_USER_INPUT';
        error.message = withoutValues(error.message);
      }
    },
  };
}

/** The error without `http` and `unexpected`, which mean nothing on a WebSocket. */
export function withoutHttp(error: GraphQLError): GraphQLError {
  if (!error.extensions.http && error.extensions.unexpected === undefined) return error;
  const { http: _status, unexpected: _unexpected, ...extensions } = error.extensions;
  return new GraphQLError(error.message, { ...placeOf(error), extensions });
}
