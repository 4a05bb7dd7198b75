import type { ServerResponse } from 'node:http';
import type { Refusal } from '../../service/refusal.ts';
import { answerJson, type JsonAnswer } from '../shared/jsonAnswer.ts';

export function answerError(res: ServerResponse, status: number, message: string): void {
  answerJson(res, status, errorAnswer({ status, message }).body);
}

/** Clients compare `code` with numbers, so it is the status. */
export function errorAnswer({
  status,
  message,
  headers,
}: Pick<Refusal, 'status' | 'message' | 'headers'>): JsonAnswer {
  return { status, headers, body: { code: status, message } };
}

/** What E2B's proxy says of a sandbox that is not there: clients take it for killed, and nothing else. */
export function answerGone(res: ServerResponse, sandboxId: string): void {
  answerJson(res, 502, { sandboxId, message: 'The sandbox was not found', code: 502 });
}

export function answerNoPort(res: ServerResponse, sandboxId: string, port: string): void {
  const message = 'The sandbox is running but port is not open';
  answerJson(res, 502, { sandboxId, message, port: Number(port), code: 502 });
}
