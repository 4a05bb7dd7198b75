/** The context that resolvers get with each request. Resolvers use the service, and nothing below it. */
import type { Answer } from '../service/answer/answer.ts';
import type { OutputAdvice } from '../service/answer/renderedText.ts';
import type { Principal } from '../service/principal.ts';
import type { Service } from '../service/service.ts';

export interface SchemaContext {
  /** The version of this gateway's program. */
  readonly version: string;
  readonly service: Service;
  readonly principal: Principal;
  /** Aborted when the connection is closed before the answer is sent. */
  readonly gone?: AbortSignal | undefined;
  /**
   * The answer that a field belongs to. For a query or mutation that is the whole response. For a subscription it is
   * one event, which is then the `rootValue`; queries and mutations have no `rootValue`. Resolvers that count what they
   * return are asynchronous: if one threw at once within a list, graphql would drop the promises of the items before
   * it, and nobody would handle their errors.
   */
  answer(info: { readonly rootValue: unknown }): Answer;
}

const ADVICE: OutputAdvice = {
  inParts: 'for its `outputs` page by page (`after`, `first`), or follow the subscription `output`',
};

/** Creates the context of one GraphQL operation. */
export function createSchemaContext({
  version,
  service,
  principal,
  gone,
}: Pick<SchemaContext, 'version' | 'service' | 'principal' | 'gone'>): SchemaContext {
  let perEvent: WeakMap<object, Answer> | undefined;
  let whole: Answer | undefined;

  return {
    version,
    service,
    principal,
    gone,
    answer({ rootValue }) {
      if (typeof rootValue !== 'object' || rootValue === null) {
        whole ??= service.answer(principal, ADVICE);
        return whole;
      }
      perEvent ??= new WeakMap();
      const known = perEvent.get(rootValue);
      if (known) return known;
      const answer = service.answer(principal, ADVICE);
      perEvent.set(rootValue, answer);
      return answer;
    },
  };
}
