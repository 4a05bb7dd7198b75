/** How many bytes of files this server has moved over HTTP, and how many files it moves now. */
export interface FileCounts {
  /** From clients. */
  uploadedBytes: number;
  /** To clients. */
  downloadedBytes: number;
  /** Requests below `/files/` that are being answered. */
  requests: number;
}

export function createFileCounts(): FileCounts {
  return { uploadedBytes: 0, downloadedBytes: 0, requests: 0 };
}
