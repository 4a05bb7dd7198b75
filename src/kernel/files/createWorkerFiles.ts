import type { Readable } from 'node:stream';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import type {
  FileContent,
  FilePrecondition,
  ReadFileOptions,
  UploadOptions,
  WorkerFiles,
  WorkerPath,
} from '../../domain/workerFiles.ts';
import { KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/json.ts';
import {
  countSchema,
  entrySchema,
  listingSchema,
  movedSchema,
  textOf,
  unwatchedSchema,
  watchedSchema,
  watcherSchema,
  writtenSchema,
} from './fileAnswers.ts';
import {
  type Download,
  download,
  type FileAnswer,
  type FileRequest,
  requestFiles,
} from './transfer.ts';

/** The parameters of a file request. For a missing one, the agent uses its default. */
type Parameters = Readonly<
  Record<string, string | number | boolean | Uint8Array | null | undefined>
>;

/** Bytes that need no escape in a query (RFC 3986, "unreserved", and the slash). */
const PLAIN = /[A-Za-z0-9\-._~/]/;
const ESCAPES = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return PLAIN.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
});

/** The query string. A path is escaped byte by byte, because a file name need not be UTF-8. */
export function queryOf(parameters: Parameters): string {
  return Object.entries(parameters)
    .flatMap(([name, value]) =>
      value === undefined || value === null ? [] : [`${name}=${escaped(value)}`],
    )
    .join('&');
}

function escaped(value: string | number | boolean | Uint8Array): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
  return Array.from(bytes, (byte) => ESCAPES[byte]).join('');
}

interface WorkerFilesDeps {
  readonly address: AgentAddress;
  /** The session of the files. An agent serves only the first session that a request names, and refuses all others. */
  readonly sessionId: string;
  /**
   * The boot id of the agent, from its hello or from `health`. An agent with another boot id refuses the request as
   * `other_boot`.
   */
  readonly bootId: string;
}

/**
 * Access to the files of the worker at this address. No connection stays open between calls, so there is nothing to
 * close.
 */
export function createWorkerFiles({ address, sessionId, bootId }: WorkerFilesDeps): WorkerFiles {
  const who = { session_id: sessionId, boot_id: bootId };
  const pathOf = (what: string, parameters: Parameters) =>
    `/files/${what}?${queryOf({ ...who, ...parameters })}`;
  const ask = (
    method: FileRequest['method'],
    what: string,
    parameters: Parameters,
    signal?: AbortSignal,
    upload: Partial<Upload> = {},
  ) => requestFiles(address, { method, path: pathOf(what, parameters), ...upload }, signal);
  return {
    stat: async (path, { follow = false } = {}, signal) =>
      parsed(await ask('GET', 'stat', { path, follow }, signal), entrySchema),
    list: async (path, { depth, after, limit } = {}, signal) =>
      parsed(await ask('GET', 'list', { path, depth, after, limit }, signal), listingSchema),
    read: async (path, options = {}, signal) =>
      contentOf(await download(address, pathOf('content', partOf(path, options)), signal)),
    write: async (path, body, options = {}, signal) => {
      const { makeParents, append } = options;
      const parameters = { path, make_parents: makeParents, append, ...tagsOf(options) };
      const upload = uploadOf(body, options);
      return parsed(await ask('PUT', 'content', parameters, signal, upload), writtenSchema);
    },
    readArchive: async (path, format, signal) => {
      const { body } = await ask('GET', 'archive', { path, format }, signal);
      return { body };
    },
    writeArchive: async (path, body, options = {}, signal) => {
      const upload = uploadOf(body, options);
      return parsed(
        await ask('PUT', 'archive', { path, format: 'tar' }, signal, upload),
        countSchema,
      );
    },
    makeDirectory: async (path, { parents } = {}, signal) =>
      parsed(await ask('POST', 'directory', { path, parents }, signal), writtenSchema),
    move: async (from, to, { overwrite, makeParents } = {}, signal) => {
      const parameters = { from, to, overwrite, make_parents: makeParents };
      return (await parsed(await ask('POST', 'move', parameters, signal), movedSchema)).entry;
    },
    remove: async (path, { recursive, ...precondition } = {}, signal) =>
      parsed(
        await ask('POST', 'delete', { path, recursive, ...tagsOf(precondition) }, signal),
        countSchema,
      ),
    watch: async (path, { recursive, entries, keepMs }, signal) => {
      const parameters = { path, recursive, entries, keep_ms: keepMs };
      return (await parsed(await ask('POST', 'watch', parameters, signal), watcherSchema)).watcher;
    },
    watchedEvents: async (watcher, signal) =>
      parsed(await ask('POST', 'watch/events', { watcher }, signal), watchedSchema),
    unwatch: async (watcher, signal) =>
      void (await parsed(await ask('POST', 'watch/end', { watcher }, signal), unwatchedSchema)),
  };
}

type Upload = Pick<FileRequest, 'length' | 'giveBack'> & { readonly body: Readable };

function uploadOf(body: Readable, { length, giveBack }: UploadOptions): Upload {
  return {
    body,
    ...(length !== undefined && { length }),
    ...(giveBack && { giveBack }),
  };
}

function partOf(path: WorkerPath, options: ReadFileOptions): Parameters {
  const { offset, length } = options;
  return { path, offset, length, ...tagsOf(options) };
}

function tagsOf({ ifMatch, ifNoneMatch }: FilePrecondition): Parameters {
  return { if_match: ifMatch, if_none_match: ifNoneMatch };
}

/** Reads a JSON answer. @throws KernelHttpError if the answer does not fit the schema */
async function parsed<Answer>(
  answer: FileAnswer,
  schema: { safeParse(value: unknown): { success: true; data: Answer } | { success: false } },
): Promise<Answer> {
  const result = schema.safeParse(parseJson(await textOf(answer.body)));
  if (result.success) return result.data;
  throw new KernelHttpError(answer.status, 'not_as_agreed', 'files');
}

/** Reads a file's content from an answer. The file's entry and the offset are in headers. */
function contentOf({ status, headers, body, giveBack }: Download): FileContent {
  const entry = entrySchema.safeParse(parseJson(String(headers['x-cellhouse-entry'] ?? '')));
  const length = status === 304 ? 0 : Number(headers['content-length']);
  const offset = Number(headers['x-cellhouse-offset']);
  if (entry.success && Number.isSafeInteger(length) && Number.isSafeInteger(offset))
    return { entry: entry.data, isKnown: status === 304, offset, length, body, giveBack };
  body.destroy();
  throw new KernelHttpError(status, 'not_as_agreed', 'GET /files/content');
}
