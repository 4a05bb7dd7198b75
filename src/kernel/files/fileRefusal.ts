/** Answers that are no success. */
import type { Readable } from 'node:stream';
import { FileRefusedError } from '../../domain/workerFiles.ts';
import { KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/json.ts';
import { refusalSchema } from './fileAnswers.ts';

/** A page of 1,000 entries has at most 4 MiB (the agent's limit), plus what its JSON adds. */
const MAX_ANSWER_BYTES = 8 * 1_048_576;

/** The error that a refusal becomes. @param path with its query, which is left out: names do not belong into logs */
export async function fileErrorOf(
  { status, body }: { readonly status: number; readonly body: Readable },
  { method, path }: { readonly method: string; readonly path: string },
): Promise<Error> {
  const { success, data } = refusalSchema.safeParse(parseJson(await textOf(body)));
  // The agent does not know the operation: it is older.
  const isUnknown = success && data.error === 'not_found' && data.message === undefined;
  if (success && !isUnknown)
    return new FileRefusedError(data.error, data.message ?? 'The worker refused.');
  return new KernelHttpError(status, null, `${method} ${path.split('?', 1)[0]}`);
}

/** The whole body of an answer. @throws if it is too long or cut */
export async function textOf(answer: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('The answer of the worker is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
