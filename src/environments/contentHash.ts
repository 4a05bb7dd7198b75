import { hash } from 'node:crypto';
import type { EnvironmentSpec } from '../domain/environment.ts';
import { digestOfFolder } from './indexFolder.ts';

/**
 * A hash over all that goes into a build, in hexadecimal: the spec, the worker image, and what the folder of the index
 * holds. What a URL leads to is not in it.
 * @throws Error if the folder cannot be read
 */
export async function contentHash(spec: EnvironmentSpec, baseImageId: string): Promise<string> {
  const { index } = spec;
  return hashOf(spec, baseImageId, index?.startsWith('/') ? await digestOfFolder(index) : null);
}

/** @param folder the digest of the folder of its index. Null: it has none. */
export function hashOf(spec: EnvironmentSpec, baseImageId: string, folder: string | null): string {
  const { apt, pip, index, setup, preload } = spec;
  return hash('sha256', JSON.stringify([baseImageId, apt, pip, index, setup, preload, folder]));
}
