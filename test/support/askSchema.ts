/** Calls the schema in this process, as the server does for a token's holder. */
import { type ExecutionResult, execute, type GraphQLError, subscribe } from 'graphql';
import { pino } from 'pino';
import { within } from '../../src/async/within.ts';
import { newId } from '../../src/process/newId.ts';
import { createSchemaContext } from '../../src/schema/context.ts';
import { schema } from '../../src/schema/index.ts';
import { createErrorMask } from '../../src/server/graphql/maskErrors.ts';
import type { Principal } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';
import type { SchemaOperation } from './operationsOfSchema.ts';

export interface Asked {
  readonly service: Service;
  readonly principal: Principal;
  readonly operation: Pick<SchemaOperation, 'kind' | 'document'>;
  readonly variables: Readonly<Record<string, unknown>>;
}

const mask = createErrorMask({ logger: pino({ level: 'silent' }), newErrorId: newId });

/** What the caller gets, as text: the data, and the errors as the server shows them. */
function textOf({ data, errors = [] }: ExecutionResult): string {
  return JSON.stringify({ data, errors: errors.map((error) => mask.mask(error).toJSON()) });
}

const requestOf = ({ service, principal, operation, variables }: Asked) => ({
  schema,
  document: operation.document,
  variableValues: variables,
  contextValue: createSchemaContext({ version: 'test', service, principal }),
});

/** The answer. Of a subscription: the items that come within `followMs`, one a line. */
export async function askSchema(asked: Asked, followMs: number): Promise<string> {
  if (asked.operation.kind !== 'subscription') return textOf(await execute(requestOf(asked)));
  const following = await followSchema(asked);
  const end = performance.now() + followMs;
  for (let leftMs = followMs; leftMs > 0; leftMs = end - performance.now())
    if ((await within(leftMs, following.next(), () => null)) === null) break;
  await following.close();
  return following.items.join('\n');
}

export interface Following {
  /** What has come so far, as text. */
  readonly items: readonly string[];
  /** Waits for one more item. Null: there will be none. */
  next(): Promise<string | null>;
  close(): Promise<void>;
}

/** Begins a subscription. A refusal is its only item. */
export async function followSchema(asked: Asked): Promise<Following> {
  const items: string[] = [];
  const keep = (result: ExecutionResult) => {
    items.push(textOf(result));
    return items.at(-1) ?? null;
  };
  const given = await subscribe(requestOf(asked));
  if (!(Symbol.asyncIterator in given)) {
    keep(given);
    return { items, next: async () => null, close: async () => undefined };
  }
  return {
    items,
    next: async () => {
      try {
        const { done, value } = await given.next();
        return done ? null : keep(value as ExecutionResult);
      } catch (error: unknown) {
        keep({ errors: [error as GraphQLError] });
        return null;
      }
    },
    close: async () => {
      await given.return(undefined);
    },
  };
}
