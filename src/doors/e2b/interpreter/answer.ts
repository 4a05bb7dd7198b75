import type { ServerResponse } from 'node:http';
import type { BodyError } from '../../shared/body.ts';
import { answerJson } from '../answer.ts';

/** Longer phrases are cut: some clients refuse a long head. */
const MAX_PHRASE_CHARS = 200;

/**
 * Answers with a refusal. The JavaScript client shows nothing but the status and its phrase, so the phrase says why,
 * too.
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

/** HTTP allows printable ASCII only. */
function phraseOf(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_PHRASE_CHARS);
}
