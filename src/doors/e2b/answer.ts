import type { ServerResponse } from 'node:http';
import type { RefusalAnswer } from '../../service/refusal.ts';

export function answerJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  res.writeHead(status, {
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  res.end(text);
}

export function answerError(res: ServerResponse, status: number, message: string): void {
  answerJson(res, status, errorBody(status, message));
}

/** Clients compare `code` with numbers, so it is the status. */
function errorBody(status: number, message: string): object {
  return { code: status, message };
}

export function errorAnswer(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): RefusalAnswer {
  return {
    status,
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify(errorBody(status, message)),
  };
}

/** What E2B's proxy says of a sandbox that is not there: clients take it for killed, and nothing else. */
export function answerGone(res: ServerResponse, sandboxId: string): void {
  answerJson(res, 502, { sandboxId, message: 'The sandbox was not found', code: 502 });
}

export function answerNoPort(res: ServerResponse, sandboxId: string, port: string): void {
  const message = 'The sandbox is running but port is not open';
  answerJson(res, 502, { sandboxId, message, port: Number(port), code: 502 });
}
