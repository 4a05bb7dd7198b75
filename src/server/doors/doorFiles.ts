/** Uploads and downloads through a door. They work like those of `/files/`, and are counted with them. */
import type { ServerResponse } from 'node:http';
import type { DoorCall, DoorRequest } from '../../doors/openDoor.ts';
import type { Refusal } from '../../service/refusal.ts';
import {
  createFreePiece,
  type FileCounts,
  type FilesService,
  type FreePiece,
} from '../http/files/fileAnswers.ts';
import { uploadOf } from '../http/files/receiveFile.ts';
import { sendFile } from '../http/files/sendFile.ts';

export interface DoorFilesDeps {
  readonly service: FilesService;
  readonly fileCounts: FileCounts;
}

/** The part of a call that is about files. */
export type DoorFiles = (
  request: DoorRequest,
  res: ServerResponse,
  refused: (refusal: Refusal) => void,
) => Pick<DoorCall, 'readStream' | 'free' | 'sendFile'>;

export function createDoorFiles({ service, fileCounts: counts }: DoorFilesDeps): DoorFiles {
  const free: FreePiece = createFreePiece();
  return ({ req, principal }, res, refused) => ({
    free,
    readStream: () =>
      uploadOf(req, res, principal.tokenEnd, (count) => {
        counts.uploadedBytes += count;
      }),
    sendFile: ({ userUuid, path }) => {
      const url = { userUuid, path: Buffer.from(path), archive: null, isInline: false };
      return sendFile({ service, principal, url, req, res, counts, free }, refused);
    },
  });
}
