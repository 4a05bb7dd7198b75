/** Limits of files that go in and out through the API. */
import { bytes, integer } from './setting.ts';

/** 1 TiB: as large as the largest disk that WORKER_DISK_MB allows. */
const MAX_FILE_BYTES = 1_099_511_627_776;

export const FILES = {
  maxFileBytes: bytes({
    name: 'MAX_FILE_BYTES',
    text: 'How large one uploaded file or archive may be. A worker takes no more than fits on its disk, see `WORKER_DISK_MB`.',
    fallback: 1_073_741_824,
    min: 1,
    max: MAX_FILE_BYTES,
  }),
  maxFileTextBytes: bytes({
    name: 'MAX_FILE_TEXT_BYTES',
    text: 'The largest file that GraphQL writes with `writeFile`, or reads with `text` or `base64`. HTTP streams larger files.',
    fallback: 1_048_576,
    min: 1,
    max: 67_108_864,
  }),
  maxFileTransfers: integer({
    name: 'MAX_FILE_TRANSFERS',
    text: 'How many files one gateway sends and receives at once. Further calls get FILES_BUSY, and may be sent again.',
    fallback: 256,
    min: 1,
    max: 10_000,
  }),
};
