/** What a gateway keeps in its DATA_DIR besides the embedded PostgreSQL: its identity, the token, and the lock. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../domain/errors.ts';
import { type GatewayId, parseId } from '../domain/ids.ts';
import { newId } from './newId.ts';

const TOKEN_BYTES = 32;

/** Makes the folder if it is missing. Others may pass through (PostgreSQL runs under its own user) but not look. */
export function makeDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
}

/** The same at each start on this folder: by it a restarted gateway takes its own leases over at once. */
export function gatewayIdOf(dataDir: string): GatewayId {
  const path = join(dataDir, 'gateway-id');
  const text = readOrMake(path, () => newId<GatewayId>());
  const id = parseId<GatewayId>(text);
  if (id === null) throw new Error(`${path} does not hold a UUID. Delete it: a new one is made.`);
  return id;
}

/** Where the generated token is, for people to read. */
export function tokenPath(dataDir: string): string {
  return join(dataDir, 'auth-token');
}

/** The token of the installation, generated at the first start (mode 0600). */
export function tokenOf(dataDir: string): string {
  const path = tokenPath(dataDir);
  const token = readOrMake(path, () => randomBytes(TOKEN_BYTES).toString('base64url'));
  if (token === '') throw new Error(`${path} is empty. Delete it: a new token is made.`);
  return token;
}

/** Whole or not at all, whoever else makes it at the same time: written aside, then linked to its name. */
function readOrMake(path: string, make: () => string): string {
  const aside = `${path}.${process.pid}.new`;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error: unknown) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  writeFileSync(aside, `${make()}\n`, { mode: 0o600 });
  try {
    linkSync(aside, path);
  } catch (error: unknown) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(aside);
  }
  return readFileSync(path, 'utf8').trim();
}
