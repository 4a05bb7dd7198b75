/** `/files`: uploads and downloads of whole files of any size, as streams. */

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { posix } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DomainError } from '../../../domain/errors.ts';
import { secretHash } from '../../../domain/token.ts';
import { WORKER_HOME } from '../../../domain/worker.ts';
import type { UploadOptions } from '../../../domain/workerFiles.ts';
import type { DoorCall } from '../../openDoor.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import type { SandboxCall } from '../sandbox.ts';
import { badRequest, eachFile, fileRefusalOf } from './form.ts';
import { isUser } from './rpc.ts';

/** The body of an upload, decompressed. */
interface RequestBody {
  readonly content: Readable;
  /** The options of the upload, if the whole body is one file. */
  readonly upload: UploadOptions;
  /** The error in the body itself. Null: none is known so far. */
  problem(): DomainError | null;
}

/** @throws BAD_USER_INPUT for another encoding than gzip */
function openBody({ req, readStream, free }: DoorCall): RequestBody {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'gzip') return gunzipped(readStream());
  if (encoding !== 'identity') throw badRequest('Content-Encoding must be gzip, or absent.');
  const { 'content-length': length, 'transfer-encoding': transfer } = req.headers;
  const isKnown = transfer === undefined && length !== undefined;
  return {
    content: readStream(),
    upload: { giveBack: free, ...(isKnown && { length: Number(length) }) },
    problem: () => null,
  };
}

function gunzipped(body: Readable): RequestBody {
  const content = createGunzip();
  // An error is also emitted by `content`, whose reader handles it.
  pipeline(body, content, () => {});
  return {
    content,
    upload: {},
    problem: () => {
      const { errored } = content;
      const isOurs = errored !== null && /^Z_/.test((errored as NodeJS.ErrnoException).code ?? '');
      return isOurs ? badRequest('The body is no gzip.', { cause: errored }) : null;
    },
  };
}

/**
 * The absolute path that a caller means. Relative paths and `~` begin in the home. An empty path is the home.
 * @throws BAD_USER_INPUT for the home of another user
 */
export function sandboxPath(given: string): string {
  if (/^~[^/]/.test(given)) {
    throw new DomainError('BAD_USER_INPUT', 'cannot expand user-specific home dir', {
      field: 'path',
    });
  }
  const path = given.startsWith('~') ? `.${given.slice(1)}` : given;
  const whole = path.startsWith('/') ? posix.normalize(path) : posix.join(WORKER_HOME, path);
  return whole.length > 1 ? whole.replace(/\/$/, '') : whole;
}

/** The last name of an absolute path. */
export function nameIn(path: string): string {
  return posix.basename(path) || path;
}

/** Whether an absolute path is in the home. */
function isBelowHome(path: string): boolean {
  return path.startsWith(`${WORKER_HOME}/`);
}

// `POST /files`: the body is one file, or a form with any number of files.

interface WrittenEntry {
  readonly name: string;
  readonly path: string;
  readonly type: 'file';
}

/** Writes each file, and creates the folders above it. Answers with the files in their order. */
async function receiveFiles(sandbox: SandboxCall): Promise<void> {
  const { req, res } = sandbox.call;
  refuseMetadata(req.headers);
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/octet-stream' && type !== 'multipart/form-data') {
    throw badRequest('Content-Type must be application/octet-stream or multipart/form-data.');
  }
  const body = openBody(sandbox.call);
  try {
    const isForm = type === 'multipart/form-data';
    const written = isForm ? await fromForm(sandbox, body) : await fromBody(sandbox, body);
    answerJson(res, 200, written);
  } catch (error: unknown) {
    throw body.problem() ?? error;
  } finally {
    body.content.destroy();
  }
}

async function fromBody(sandbox: SandboxCall, body: RequestBody): Promise<WrittenEntry[]> {
  const path = sandbox.call.query.get('path');
  if (path === null) throw badRequest('The query must have the `path` of the file.');
  return [await write(sandbox, sandboxPath(path), body.content, body.upload)];
}

/**
 * With a path in the query, the form's only file is written there. Otherwise each file is written to the path that is
 * its name.
 */
async function fromForm(sandbox: SandboxCall, body: RequestBody): Promise<WrittenEntry[]> {
  const { req, query } = sandbox.call;
  const written: WrittenEntry[] = [];
  const paths = new Set<string>();
  await eachFile(req.headers['content-type'] ?? '', body.content, async (fileName, content) => {
    const path = sandboxPath(query.get('path') ?? named(fileName));
    // The signature covers no path, so its maker did not choose where the form writes.
    if (sandbox.isSigned && !query.has('path') && !isBelowHome(path)) {
      throw badRequest('Without a path in the signed URL, files can only be below the home.');
    }
    if (paths.has(path)) throw badRequest(`The form has more than one file for '${path}'.`);
    paths.add(path);
    written.push(await write(sandbox, path, content));
  });
  if (written.length === 0) throw badRequest('The form has no part called `file`.');
  return written;
}

function named(fileName: string | undefined): string {
  if (fileName === undefined || fileName === '') {
    throw badRequest('Each file of the form needs a file name, or the query a `path`.');
  }
  return fileName;
}

async function write(
  { call: { service }, userUuid }: SandboxCall,
  path: string,
  content: Readable,
  upload: RequestBody['upload'] = {},
): Promise<WrittenEntry> {
  await service.writeContent({ userUuid, path, ...upload }, content);
  return { name: nameIn(path), path, type: 'file' };
}

/** Clients send metadata only to later versions of envd than ENVD_VERSION. */
function refuseMetadata(headers: IncomingHttpHeaders): void {
  const isMetadata = (name: string) => name.startsWith('x-metadata-');
  if (Object.keys(headers).some(isMetadata)) {
    throw badRequest('Metadata of files is not supported: send no X-Metadata headers.');
  }
}

// URLs of files that clients sign with the key of their sandbox, so that a request with such a URL needs no key.

/** Whether the query of a request to `/files` has a signature by this key that is valid now. */
export function isSignedBy(
  method: string,
  query: URLSearchParams,
  key: string,
  now = Date.now(),
): boolean {
  if (hasExpired(query, now)) return false;
  const expiration = query.get('signature_expiration');
  const right = signatureOf({
    path: query.get('path') ?? '',
    operation: method === 'GET' || method === 'HEAD' ? 'read' : 'write',
    username: query.get('username') ?? '',
    expiration,
    key,
  });
  // Only hashes are compared, so that timing reveals nothing about the right signature.
  return secretHash(query.get('signature') ?? '') === secretHash(right);
}

/** Whether the signature has expired, whether or not it is right. */
export function hasExpired(query: URLSearchParams, now = Date.now()): boolean {
  const expiration = query.get('signature_expiration');
  return expiration !== null && !(Number(expiration) * 1_000 > now);
}

export interface Signed {
  readonly path: string;
  readonly operation: 'read' | 'write';
  readonly username: string;
  /** In seconds since the Unix epoch, as it was sent. Null: it never expires. */
  readonly expiration: string | null;
  readonly key: string;
}

/** As E2B's SDKs compute it. */
export function signatureOf({ path, operation, username, expiration, key }: Signed): string {
  const parts = [path, operation, username, key, ...(expiration === null ? [] : [expiration])];
  const digest = createHash('sha256').update(parts.join(':')).digest('base64');
  return `v1_${digest.replace(/=+$/, '')}`;
}

/** @throws DomainError if the sandbox has ended; any error that is unexpected, or occurs after the headers were sent */
export async function serveFiles(sandbox: SandboxCall): Promise<void> {
  const { call, userUuid } = sandbox;
  const { method, query, refuse, res, sendFile } = call;
  if (!isUser(query.get('username'))) {
    return refuse({ status: 401, code: 'UNAUTHENTICATED', message: 'invalid username' });
  }
  try {
    if (method === 'GET') await sendFile({ userUuid, path: sandboxPath(query.get('path') ?? '') });
    else if (method === 'POST') await receiveFiles(sandbox);
    else refuse(METHOD_NOT_ALLOWED);
  } catch (error: unknown) {
    const refusal = fileRefusalOf(error);
    if (refusal === null || res.headersSent || (await sandbox.hasEnded())) throw error;
    refuse(refusal);
  }
}

const METHOD_NOT_ALLOWED = {
  status: 405,
  code: 'BAD_USER_INPUT',
  message: 'Use GET or POST.',
  headers: { Allow: 'GET, POST' },
};
