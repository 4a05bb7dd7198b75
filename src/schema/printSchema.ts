/**
 * Writes `./schema.graphql`. With `--check` it compares the file instead, and exits with 1 if it differs:
 * `node dist/schema/printSchema.js [--check]`.
 */
import { printSchema } from 'graphql';
import { writeOrCheck } from '../process/generatedFile.ts';
import { schema } from './index.ts';

const FILE = 'schema.graphql';
const printed = `${printSchema(schema)}\n`;

await writeOrCheck(FILE, printed, 'npm run schema');
