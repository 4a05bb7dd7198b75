/** Answers that are JSON, at the doors and elsewhere in the server. */
import type { ServerResponse } from 'node:http';
import { jsonText } from '../../domain/exactJson.ts';

/** An answer that is not sent yet: a refusal, in the form of one protocol. */
export interface JsonAnswer {
  readonly status: number;
  /** Anything that JSON can express. */
  readonly body: unknown;
  /** Added to Content-Type and Content-Length. A Content-Type here replaces the usual one. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface WrittenJson {
  readonly text: string;
  readonly headers: Readonly<Record<string, string | number>>;
}

export function writtenJson({ body, headers }: Omit<JsonAnswer, 'status'>): WrittenJson {
  const text = jsonText(body);
  const length = { 'Content-Length': Buffer.byteLength(text) };
  return { text, headers: { 'Content-Type': 'application/json', ...headers, ...length } };
}

/** @param headers see {@link JsonAnswer} */
export function answerJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: JsonAnswer['headers'] = {},
): void {
  const written = writtenJson({ body, headers });
  res.writeHead(status, written.headers).end(written.text);
}
