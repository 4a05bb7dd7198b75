import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { DomainError } from '../../src/domain/errors.ts';
import type { FileContent, FileEntry } from '../../src/domain/workerFiles.ts';
import type { Operations } from '../../src/service/service.ts';
import { validateNewPath, validatePath } from '../../src/service/validate.ts';

const HOME = '/home/user';

/** An entry as a worker describes it. @param path from the root */
export function entryOf(path: string, more: Partial<FileEntry> = {}): FileEntry {
  return {
    path,
    pathBytes: Buffer.from(path),
    name: path.slice(path.lastIndexOf('/') + 1),
    kind: 'file',
    size: 0,
    mode: 0o644,
    modifiedAt: Date.parse('2026-01-02T03:04:05.678Z'),
    etag: '"1"',
    owner: 'user',
    group: 'user',
    target: null,
    leadsTo: null,
    ...more,
  };
}

/** Contents of files by their paths, without folders. Stands in for the files of a worker. */
export class FilesInMemory {
  readonly #contents = new Map<string, Buffer>();
  readonly #failure: DomainError | null;
  #begin = () => {};
  /** Resolves when the first file begins to arrive. */
  readonly begun = new Promise<void>((resolve) => {
    this.#begin = resolve;
  });
  /** Settles when the last writing has ended. */
  last: Promise<unknown> = Promise.resolve();

  /** @param failure the error with which every writing fails before it reads anything */
  constructor(failure: DomainError | null = null) {
    this.#failure = failure;
  }

  put(path: string, text: string): void {
    this.#contents.set(path, Buffer.from(text));
  }

  /** Null: there is no such file. */
  text(path: string): string | null {
    return this.#contents.get(path)?.toString() ?? null;
  }

  paths(): string[] {
    return [...this.#contents.keys()];
  }

  operations(): Partial<Omit<Operations, 'execute'>> {
    return {
      file: async (_principal, userUuid, given) => {
        const path = validatePath(given).text;
        const content = this.#contents.get(path);
        return content ? { userUuid, entry: entryOf(path, { size: content.length }) } : null;
      },
      readContent: async (_principal, request) => this.#read(request),
      writeContent: (_principal, { userUuid, path: given }, source) => {
        const path = validateNewPath(given).text;
        const writing = this.#write(path, source);
        writing.catch(() => {});
        this.last = writing;
        const file = { userUuid, entry: entryOf(path) };
        return writing.then(() => ({ file, created: true, sha256: '' }));
      },
    };
  }

  #read({
    path: given,
    offset = 0,
    length,
  }: Parameters<Operations['readContent']>[1]): FileContent {
    const path = validatePath(given).text;
    if (path === HOME) throw new DomainError('IS_A_DIRECTORY', `"${path}" is a folder.`);
    const content = this.#contents.get(path);
    if (!content) throw new DomainError('FILE_NOT_FOUND', `"${path}" does not exist.`);
    const part = content.subarray(offset, length === undefined ? undefined : offset + length);
    return {
      entry: entryOf(path, { size: content.length }),
      isKnown: false,
      offset,
      length: part.length,
      body: Readable.from(part.length === 0 ? [] : [part], { objectMode: false }),
      giveBack: () => {},
    };
  }

  async #write(path: string, source: Readable): Promise<void> {
    try {
      if (this.#failure) throw this.#failure;
      source.once('data', this.#begin);
      this.#contents.set(path, await buffer(source));
    } finally {
      source.destroy();
    }
  }
}
