/** Adds two things to Yoga's server-sent events: they end when the client disconnects, and when the stream fails. */
import type { ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { type TokenEnd, tokenEnded } from '../../service/access/tokenEnd.ts';
import { exactly } from './exactResults.ts';
import { type ErrorMask, withoutHttp } from './maskErrors.ts';
import type { ServerContext } from './serverContext.ts';

/** How long a stream may take to send its last event after its token has ended. */
const LAST_EVENT_MS = 250;

type Results = AsyncIterator<ExecutionResult>;

/**
 * Ends a stream's source when its connection is closed, also if that happened before the source existed. If the source
 * fails, or the caller's token ends, the error is sent as the last event, and then the connection is cut. Yoga would
 * leave it open and silent. The stream is not completed, because it is not over: the client resubscribes from its last
 * seq.
 */
export function useSentStreams(errorMask: ErrorMask): Plugin<ServerContext> {
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
        return next.done ? next : { done: false, value: exactly(next.value) };
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

/** Ends the source, so that the stream sends its last event. Cuts the connection if the client does not read that. */
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
