/** Converts schemas of tools to JSON Schema once. Otherwise the server of each request would convert them again. */
import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** The same schema, whose JSON form is kept. */
export function toolSchema<Of extends z.ZodType>(
  schema: Of,
): StandardSchemaWithJSON<z.input<Of>, z.output<Of>> {
  const input = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' });
  const output = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'output' });
  const { validate } = schema['~standard'];
  const jsonSchema = { input: () => input, output: () => output };
  return { '~standard': { version: 1, vendor: 'cellhouse', validate, jsonSchema } };
}
