/** POST to `/files`: one file as the body itself, or any number of files as a form. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { answerJson } from '../../answer.ts';
import type { SandboxCall } from '../../surface.ts';
import { openBody, type RequestBody } from './body.ts';
import { badRequest } from './fileRefusal.ts';
import { eachFile } from './form.ts';
import { isBelowHome, nameIn, sandboxPath } from './sandboxPath.ts';

interface WrittenEntry {
  readonly name: string;
  readonly path: string;
  readonly type: 'file';
}

/** Writes each file, and makes the folders above it. Answers with the files in their order. */
export async function receiveFiles(sandbox: SandboxCall): Promise<void> {
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

/** With a path in the query, the only file goes there. Otherwise each file says by its name where it goes. */
async function fromForm(sandbox: SandboxCall, body: RequestBody): Promise<WrittenEntry[]> {
  const { req, query } = sandbox.call;
  const written: WrittenEntry[] = [];
  const paths = new Set<string>();
  await eachFile(req.headers['content-type'] ?? '', body.content, async (fileName, content) => {
    const path = sandboxPath(query.get('path') ?? named(fileName));
    // Whoever signed the URL did not know where the form would write.
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

/** Clients send it only to later versions of envd than this door says to be. */
function refuseMetadata(headers: IncomingHttpHeaders): void {
  const isMetadata = (name: string) => name.startsWith('x-metadata-');
  if (Object.keys(headers).some(isMetadata)) {
    throw badRequest('Metadata of files is not supported: send no X-Metadata headers.');
  }
}
