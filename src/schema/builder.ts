/** The schema builder. It defines no types itself: each file beside it defines one type and its operations. */
import SchemaBuilder from '@pothos/core';
import type { SchemaContext } from './context.ts';

export interface SchemaTypes {
  Context: SchemaContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    Int53: { Input: number; Output: number };
    JSON: { Input: unknown; Output: unknown };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false });

builder.queryType({ description: 'Reads. The result for an unknown id is null.' });
builder.mutationType({
  description:
    'Commands. Each takes one `input`, and answers when its effect is durable, with what it is about. An unknown id gives the error NOT_FOUND.',
});
builder.subscriptionType({
  description:
    'Live views, over graphql-ws or server-sent events on the same path. If a client reads slowly, the server waits and drops nothing.',
});
