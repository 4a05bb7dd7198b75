/** `migrations/schema.json`: the schema version, and a digest that reveals a change without a new version. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './setupError.mjs';

/** @param {string} folder `migrations/`, or a copy */
export function readSchemaFile(folder) {
  return JSON.parse(readFileSync(join(folder, 'schema.json'), 'utf8'));
}

/** The digest of all files that define the schema. @param {string} folder */
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

/** Raises the version if the schema has changed. @param {string} folder @returns {string} a message for the user */
export function raiseSchemaVersion(folder) {
  const { sha256: was, ...schema } = readSchemaFile(folder);
  const sha256 = schemaDigest(folder);
  if (was === sha256) return `The schema has not changed since version ${schema.version}.`;
  if (was !== undefined) schema.version += 1;
  const text = JSON.stringify({ ...schema, sha256 }, null, 2);
  writeFileSync(join(folder, 'schema.json'), `${text}\n`);
  return `The schema now has version ${schema.version}. Gateways from version ${schema.compatibleFrom} on can work with it.`;
}
