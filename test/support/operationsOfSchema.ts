/**
 * Operations made from the GraphQL schema itself: one document for each field of Query, Mutation and Subscription, with
 * every field below it, and a variable for every argument. So a new field or argument takes part in the tests at once.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type GraphQLArgument,
  type GraphQLError,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
  subscribe,
  validate,
} from 'graphql';
import { pino } from 'pino';
import { within } from '../../src/async/within.ts';
import { newId } from '../../src/process/newId.ts';
import { createSchemaContext } from '../../src/schema/context.ts';
import { schema } from '../../src/schema/index.ts';
import { createErrorMask } from '../../src/server/graphql/maskErrors.ts';
import type { Principal } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';

/** How deep fields are nested. There must be a limit, because types refer to each other in circles. */
const MAX_DEPTH = 4;
/** How often an optional argument is given. */
const GIVEN = 0.4;
const MAX_ITEMS = 2;

interface SchemaOperation {
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: string;
  readonly document: DocumentNode;
  /** A value for each variable. */
  draw(): Record<string, unknown>;
}

interface Draws {
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** A value for an argument or an input field of this name. @throws Error if it knows none */
  readonly valueOf: (name: string, type: string) => unknown;
}

/** One operation for each root field. @throws Error if the schema has an argument that `valueOf` does not know */
export function operationsOfSchema(schema: GraphQLSchema, draws: Draws): SchemaOperation[] {
  const roots = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  };
  return Object.entries(roots).flatMap(([kind, root]) =>
    Object.keys(root?.getFields() ?? {}).map((field) =>
      operationOf(schema, draws, kind as SchemaOperation['kind'], field),
    ),
  );
}

function operationOf(
  schema: GraphQLSchema,
  draws: Draws,
  kind: SchemaOperation['kind'],
  field: string,
): SchemaOperation {
  const variables = new Map<string, GraphQLArgument>();
  const root = { query: schema.getQueryType(), mutation: schema.getMutationType() };
  const type = kind === 'subscription' ? schema.getSubscriptionType() : root[kind];
  const found = type?.getFields()[field];
  if (!found) throw new Error(`There is no ${kind} ${field}.`);
  const text = call(schema, found, field, variables, 1);
  if (text === null) throw new Error(`Nothing can be selected below ${field}.`);
  const declared = [...variables].map(([name, { type: of }]) => `$${name}: ${of}`).join(', ');
  const document = parse(`${kind} ${declared && `(${declared})`} { ${text} }`);
  const [problem] = validate(schema, document);
  if (problem) throw problem;
  // Draws every value once, so that an argument that `valueOf` does not know fails always, and not by chance.
  for (const argument of variables.values()) everyField(argument, draws);
  return {
    kind,
    field,
    document,
    draw: () => {
      const values = [...variables].map(([name, argument]) => [name, given(argument, draws)]);
      return Object.fromEntries(values.filter(([, value]) => value !== undefined));
    },
  };
}

type Field = NonNullable<
  ReturnType<NonNullable<ReturnType<GraphQLSchema['getQueryType']>>['getFields']>[string]
>;

/** The text of one field with all its arguments and all fields below it. Null: nothing can be selected below it. */
function call(
  schema: GraphQLSchema,
  field: Field,
  place: string,
  variables: Map<string, GraphQLArgument>,
  depth: number,
): string | null {
  const below = selection(schema, getNamedType(field.type), place, variables, depth);
  if (below === null) return null;
  const args = field.args.map((argument) => {
    const variable = `${place}_${argument.name}`;
    variables.set(variable, argument);
    return `${argument.name}: $${variable}`;
  });
  return `${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''} ${below}`;
}

/**
 * All fields of a type. Null: nothing can be selected at this depth. Each field has an alias with the name of its type,
 * because fields of one name may differ between the types of an interface.
 */
function selection(
  schema: GraphQLSchema,
  type: GraphQLNamedType,
  place: string,
  variables: Map<string, GraphQLArgument>,
  depth: number,
): string | null {
  if (isInterfaceType(type)) {
    const types = schema.getPossibleTypes(type).map((each) => {
      const own = selection(schema, each, `${place}_${each.name}`, variables, depth);
      return own === null ? '' : `... on ${each.name} ${own}`;
    });
    return `{ __typename ${types.join(' ')} }`;
  }
  if (!isObjectType(type)) return '';
  if (depth > MAX_DEPTH) return null;
  const fields = Object.values(type.getFields()).flatMap((field) => {
    const text = call(schema, field, `${place}_${field.name}`, variables, depth + 1);
    return text === null ? [] : [`${type.name}_${field.name}: ${text}`];
  });
  return fields.length === 0 ? null : `{ ${fields.join(' ')} }`;
}

type Input = Pick<GraphQLArgument | GraphQLInputField, 'name' | 'type'>;

/** A value for an argument or an input field. Undefined: it is left out. */
function given(input: Input, draws: Draws): unknown {
  const isOptional = !isNonNullType(input.type);
  if (isOptional && draws.random() >= GIVEN) return undefined;
  return drawn(input.name, input.type, draws);
}

function drawn(name: string, type: GraphQLInputType, draws: Draws): unknown {
  if (isNonNullType(type)) return drawn(name, type.ofType, draws);
  if (isListType(type)) {
    const count = Math.floor(draws.random() * (MAX_ITEMS + 1));
    return Array.from({ length: count }, () => drawn(name, type.ofType, draws));
  }
  if (isEnumType(type)) {
    const values = type.getValues();
    return values[Math.floor(draws.random() * values.length)]?.name;
  }
  if (isInputObjectType(type) && type.isOneOf) {
    const fields = Object.values(type.getFields());
    const chosen = fields[Math.floor(draws.random() * fields.length)];
    return chosen && { [chosen.name]: drawn(chosen.name, chosen.type, draws) };
  }
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).map((field) => [
      field.name,
      given(field, draws),
    ]);
    return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
  }
  return type.name === 'Boolean' ? draws.random() < 0.5 : draws.valueOf(name, type.name);
}

/** @throws Error for an argument, or an input field of it, that `valueOf` does not know */
function everyField({ name, type }: Input, draws: Draws): void {
  const of = getNamedType(type);
  if (isInputObjectType(of))
    for (const field of Object.values(of.getFields())) everyField(field, draws);
  else drawn(name, of, draws);
}

// Calls the schema in this process, as the server does for a token's holder.

interface Asked {
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
