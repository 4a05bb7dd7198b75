/** What a gateway keeps in its DATA_DIR besides the embedded PostgreSQL: its identity, the token, and the lock. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../domain/errors.ts';
import { type GatewayId, parseId } from '../domain/ids.ts';
import { newId } from './newId.ts';

const TOKEN_BYTES = 32;

/** Creates the folder if it is missing. Other users may pass through it, as PostgreSQL's user must, but not list it. */
export function makeDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
}

/** The same id at each start on this folder. With it, a restarted gateway takes over its own leases immediately. */
export function gatewayIdOf(dataDir: string): GatewayId {
  const path = join(dataDir, 'gateway-id');
  const text = readOrMake(path, () => newId<GatewayId>());
  const id = parseId<GatewayId>(text);
  if (id === null)
    throw new Error(`${path} does not hold a UUID. Delete it, and a new one is made.`);
  return id;
}

/** The file with the generated token, where people can read it. */
export function tokenPath(dataDir: string): string {
  return join(dataDir, 'auth-token');
}

/** The installation's token. It is generated at the first start and stored with mode 0600. */
export function tokenOf(dataDir: string): string {
  const path = tokenPath(dataDir);
  const token = readOrMake(path, () => randomBytes(TOKEN_BYTES).toString('base64url'));
  if (token === '') throw new Error(`${path} is empty. Delete it, and a new token is made.`);
  return token;
}

/**
 * Reads a file, or creates it if it is missing. The file is written under another name and then linked to its own, so
 * that it is always complete, even if two processes create it at the same time.
 */
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
