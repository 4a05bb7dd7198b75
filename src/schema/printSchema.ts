/**
 * Writes `./schema.graphql`. With `--check` it compares the file instead, and exits with 1 if it differs:
 * `node dist/schema/printSchema.js [--check]`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { printSchema } from 'graphql';
import { schema } from './index.ts';

const FILE = 'schema.graphql';
const printed = `${printSchema(schema)}\n`;

if (process.argv.includes('--check')) {
  if ((await readFile(FILE, 'utf8')) !== printed) {
    console.error(`${FILE} does not match the code. Run: npm run schema`);
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, printed);
}
