/** Limits how many files this gateway sends and receives at the same time. */
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';

export interface FileTransfers {
  /**
   * Counts a transfer. The returned function ends it; repeated calls do nothing.
   * @throws FILES_BUSY
   */
  begin(): () => void;
}

/** @param max how many transfers there may be at once (MAX_FILE_TRANSFERS) */
export function createFileTransfers(max: number): FileTransfers {
  const transfers = new Set<symbol>();
  return {
    begin: () => {
      if (transfers.size >= max) {
        throw new DomainError(
          'FILES_BUSY',
          `This gateway already sends and receives ${max} files (MAX_FILE_TRANSFERS). Try again.`,
          { limit: max, retryAfterMs: RETRY_AFTER_MS },
        );
      }
      const transfer = Symbol('transfer');
      transfers.add(transfer);
      return () => void transfers.delete(transfer);
    },
  };
}
