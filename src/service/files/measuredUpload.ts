import type { Readable } from 'node:stream';
import type { Session } from '../../domain/session.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { tooLarge } from './fileErrors.ts';
import { type Measured, measured } from './measured.ts';

/** An upload, measured while it passes. All the while, its session does not end as idle. */
export function measuredUpload(
  { config, sessionUses }: Pick<ServiceDeps, 'config' | 'sessionUses'>,
  session: Session,
  source: Readable,
): Measured {
  return measured(source, {
    maxBytes: config.maxFileBytes,
    // A use that cannot be recorded now is tried again at the next piece.
    onBytes: () => void sessionUses.use(session).catch(() => false),
  });
}

/** @throws FILE_TOO_LARGE for an upload whose announced length is above the limit */
export function requireSize(
  { config: { maxFileBytes } }: Pick<ServiceDeps, 'config'>,
  length: number | undefined,
): void {
  if (length === undefined || length <= maxFileBytes) return;
  throw tooLarge(`The upload is ${length} bytes`, maxFileBytes, 'MAX_FILE_BYTES');
}
