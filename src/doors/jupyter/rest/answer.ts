import type { ServerResponse } from 'node:http';
import { answerJson as answer } from '../../shared/jsonAnswer.ts';

/** What every answer has. Jupyter's answers tell a state, so nobody may keep them. */
export const ANSWER_HEADERS = {
  'Content-Type': 'application/json; charset=UTF-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
} as const;

export function answerJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  answer(res, status, body, { ...ANSWER_HEADERS, ...headers });
}

export function answerText(res: ServerResponse, text: string): void {
  res.writeHead(200, { ...ANSWER_HEADERS, 'Content-Type': 'text/plain; charset=UTF-8' }).end(text);
}

export function answerNothing(res: ServerResponse): void {
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end();
}

/** Every refusal of a Jupyter server looks so. */
export function errorBody(message: string): object {
  return { message, reason: null };
}
