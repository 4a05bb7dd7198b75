/** One request below `/files/`, and what handling it needs. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FileUrl } from '../../../domain/fileUrl.ts';
import type { Principal } from '../../../service/principal.ts';
import type { Service } from '../../../service/service.ts';
import type { FileCounts } from './fileCounts.ts';
import type { FreePiece } from './freePiece.ts';

export type FilesService = Pick<
  Service,
  'file' | 'readContent' | 'writeContent' | 'deleteFile' | 'readArchive' | 'writeArchive'
>;

export interface FileRequest {
  readonly service: FilesService;
  readonly principal: Principal;
  readonly url: FileUrl;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly counts: FileCounts;
  /** Frees the memory of a piece of the request's body. */
  readonly free: FreePiece;
}
