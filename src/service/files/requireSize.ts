import type { ServiceDeps } from '../serviceDeps.ts';
import { tooLarge } from './fileErrors.ts';

/** @throws FILE_TOO_LARGE for an upload whose announced length is above the limit */
export function requireSize(
  { config: { maxFileBytes } }: Pick<ServiceDeps, 'config'>,
  length: number | undefined,
): void {
  if (length === undefined || length <= maxFileBytes) return;
  throw tooLarge(`The upload is ${length} bytes`, maxFileBytes, 'MAX_FILE_BYTES');
}
