/** Results over HTTP, written with all digits of their whole numbers. (A WebSocket's: src/server/webSocket/markedNumbers.ts.) */
import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { jsonText } from '../../domain/exactJson.ts';

/** For answers that are one piece. What is streamed is given to {@link exactly} as it comes. */
export function useExactResults(): Plugin {
  return {
    onResultProcess({ result, setResult }) {
      if (!(Symbol.asyncIterator in result) && !Array.isArray(result)) setResult(exactly(result));
    },
  };
}

/** The same result; Yoga writes it so. */
export function exactly<Result extends ExecutionResult>(result: Result) {
  return { ...result, stringify: jsonText };
}
