/** A client of `/files/` that sends exactly what a test says, also paths that `fetch` would change. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

export interface FileAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FileCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE' | 'OPTIONS' | 'POST';
  /** What follows `/files/`, not encoded any further. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | Readable;
}

export interface FileServer {
  readonly port: number;
  readonly token: string;
}

/** Sends a request and reads the whole answer. */
export async function askFiles(server: FileServer, call: FileCall): Promise<FileAnswer> {
  const answer = await openFiles(server, call);
  const body = await buffer(answer);
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

/** Sends a request, and resolves when its answer begins. */
export function openFiles(
  { port, token }: FileServer,
  { method, path, headers, body }: FileCall,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length =
      body === undefined || body instanceof Readable
        ? {}
        : { 'content-length': String(Buffer.byteLength(body)) };
    const call = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path: `/files/${path}`,
        headers: { 'x-auth-token': token, ...length, ...headers },
        agent: false,
      },
      resolve,
    );
    call.on('error', reject);
    if (body instanceof Readable) body.on('error', (error) => call.destroy(error)).pipe(call);
    else call.end(body);
  });
}

/** The body of a refusal. */
export function refusalIn({ body }: FileAnswer): { code?: string; message?: string } {
  return JSON.parse(body.toString()) as { code?: string; message?: string };
}
