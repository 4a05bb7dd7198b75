/** The files that this gateway sends and receives now, and how many bytes it has moved. */
import { DomainError } from '../../domain/errors.ts';

/** A transfer takes seconds, so a place is free soon. */
const RETRY_AFTER_MS = 1_000;

export interface FileTransfers {
  /**
   * Counts a transfer. The returned function ends it; repeated calls do nothing.
   * @throws FILES_BUSY
   */
  begin(): () => void;
  /** Counts bytes that went to a worker, or came from one. */
  moved(direction: 'up' | 'down', bytes: number): void;
  readonly count: number;
  /** Bytes since the start of the gateway. */
  readonly bytes: Readonly<Record<'up' | 'down', number>>;
}

/** @param max how many transfers there may be at once (MAX_FILE_TRANSFERS) */
export function createFileTransfers(max: number): FileTransfers {
  const bytes = { up: 0, down: 0 };
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
    moved: (direction, count) => {
      bytes[direction] += count;
    },
    get count() {
      return transfers.size;
    },
    bytes,
  };
}
