/** The schema builder. It defines no types: each file beside it holds one domain type and its operations. */
import SchemaBuilder from '@pothos/core';
import type { SchemaContext } from './context.ts';

export interface SchemaTypes {
  Context: SchemaContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: never; Output: unknown };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false });

builder.queryType({ description: 'Reads. An unknown id is null.' });
builder.mutationType({
  description:
    'Commands. They come back when they are done and durable; an unknown id is the error NOT_FOUND.',
});
builder.subscriptionType({
  description:
    'Live views, over graphql-ws (or server-sent events) on the same path. A slow reader is waited for, nothing is dropped.',
});
