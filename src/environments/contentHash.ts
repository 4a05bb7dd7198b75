import { hash } from 'node:crypto';
import type { EnvironmentSpec } from '../domain/environment.ts';
import { digestOfFolder } from './indexFolder.ts';

/**
 * The hexadecimal hash of everything that goes into a build: the spec, the worker image, and the contents of the index
 * folder. If the index is a URL, the packages behind it are not included.
 * @throws Error if the folder cannot be read
 */
export async function contentHash(spec: EnvironmentSpec, baseImageId: string): Promise<string> {
  const { index } = spec;
  return hashOf(spec, baseImageId, index?.startsWith('/') ? await digestOfFolder(index) : null);
}

/** @param folder the digest of the index folder. Null: the spec has no index folder, or it cannot be read */
export function hashOf(spec: EnvironmentSpec, baseImageId: string, folder: string | null): string {
  const { apt, pip, index, setup, preload } = spec;
  return hash('sha256', JSON.stringify([baseImageId, apt, pip, index, setup, preload, folder]));
}
