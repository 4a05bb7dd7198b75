/** `migrations/schema.json`: the version of what `migrations/` makes, and a digest that tells when that changed without it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './setupError.mjs';

/** @param {string} folder `migrations/`, or a copy */
export function readSchemaFile(folder) {
  return JSON.parse(readFileSync(join(folder, 'schema.json'), 'utf8'));
}

/** Of everything that makes the schema. @param {string} folder */
export function schemaDigest(folder) {
  const { compatibleFrom, sql } = readSchemaFile(folder);
  const strays = readdirSync(join(folder, 'sql')).filter((name) => !sql.includes(name));
  if (strays.length > 0) {
    throw new SetupError(
      `migrations/sql has files that are never applied: ${strays.join(', ')}. Name them under "sql" in migrations/schema.json, each after what it needs.`,
    );
  }
  const tables = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  const files = [...tables.sort(), ...sql.map((name) => `sql/${name}`)];
  const hash = createHash('sha256').update(JSON.stringify({ compatibleFrom, files }));
  for (const name of files) hash.update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/** Gives what changed the next version. Resolves with what there is to tell. @param {string} folder */
export function raiseSchemaVersion(folder) {
  const { sha256: was, ...schema } = readSchemaFile(folder);
  const sha256 = schemaDigest(folder);
  if (was === sha256) return `The schema is as it was, at version ${schema.version}.`;
  if (was !== undefined) schema.version += 1;
  const text = JSON.stringify({ ...schema, sha256 }, null, 2);
  writeFileSync(join(folder, 'schema.json'), `${text}\n`);
  return `The schema is at version ${schema.version} now; gateways from ${schema.compatibleFrom} on may go on with it.`;
}
