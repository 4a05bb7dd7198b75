/**
 * Writes results over HTTP with all digits of their whole numbers. For WebSockets see
 * src/server/webSocket/markedNumbers.ts.
 */
import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { jsonText } from '../../domain/exactJson.ts';

/** Handles single answers. Streams pass each of their results to {@link exactly} themselves. */
export function useExactResults(): Plugin {
  return {
    onResultProcess({ result, setResult }) {
      if (!(Symbol.asyncIterator in result) && !Array.isArray(result)) setResult(exactly(result));
    },
  };
}

/** The result, with the function `stringify`, by which Yoga then writes it. */
export function exactly<Result extends ExecutionResult>(result: Result) {
  return { ...result, stringify: jsonText };
}
