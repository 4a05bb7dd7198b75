/** Answers of `/files/`: their statuses, headers and JSON bodies. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DomainError } from '../../../domain/errors.ts';
import { answerJson as answer } from '../../../doors/shared/jsonAnswer.ts';
import type { Refusal } from '../../../service/refusal.ts';
import { sendRefusal } from '../refuse.ts';
import { FILE_ANSWER_HEADERS } from './fileHeaders.ts';

/** Refuses a request with the body `{ "code": ..., "message": ... }`. */
export function refuseFile(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  const { status, code, message, details, headers } = refusal;
  sendRefusal(req, res, {
    status,
    headers: { ...JSON_HEADERS, ...headers },
    body: { ...details, code, message },
  });
}

/** Answers with a JSON body. */
export function answerJson(
  res: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  answer(res, status, value, { ...JSON_HEADERS, ...headers });
}

const JSON_HEADERS = { ...FILE_ANSWER_HEADERS, 'Content-Type': 'application/json; charset=utf-8' };

/** A bad header or option of a request. @param field the name of the header or option */
export function badRequest(field: string, message: string): DomainError {
  return new DomainError('BAD_USER_INPUT', message, { field });
}
