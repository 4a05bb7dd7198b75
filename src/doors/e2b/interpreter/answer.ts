import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { BodyError } from '../../shared/body.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';

// Parts of the bodies of requests. The Python client sends null for absent fields.

/** FastAPI's message. */
export const NO_TEXT = 'Input should be a valid string';
export const NO_OBJECT = 'The body should be a JSON object';

/** A text. Null if it is absent, null or empty. */
export const TEXT = z
  .string(NO_TEXT)
  .nullish()
  .transform((text) => text || null);

/** A request that is refused with a text, and with a status that E2B's clients know. */
export class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.status = status;
  }
}

export function noContext(id: string): RefusedError {
  return new RefusedError(404, `Context ${id} not found`);
}

/** Longer phrases are cut, because some clients refuse a long header. */
const MAX_PHRASE_CHARS = 200;

/**
 * Answers with a refusal. The status phrase also contains the reason, because the JavaScript client shows only status
 * and phrase.
 */
export function answerRefusal(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.statusMessage = phraseOf(text);
  res.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(text),
  });
  res.end(text);
}

/** The form in which FastAPI refuses a body. */
export function answerUnprocessable(res: ServerResponse, { issues }: BodyError): void {
  const { path, message: msg } = issues[0] ?? {
    path: [],
    message: 'The body should be valid JSON',
  };
  res.statusMessage = phraseOf([...path, msg].join(': '));
  answerJson(res, 422, { detail: [{ type: 'value_error', loc: ['body', ...path], msg }] });
}

/** In a phrase, only printable ASCII is safe. */
function phraseOf(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_PHRASE_CHARS);
}
