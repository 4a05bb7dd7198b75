/** `/livez` and `/readyz`: neither needs a token. */
import type { ServerResponse } from 'node:http';

export interface Readiness {
  readonly isReady: boolean;
  /** Why not, each a sentence; empty when ready. */
  readonly reasons: readonly string[];
}

/** The process runs and answers; nothing else is claimed. */
export function serveLivez(res: ServerResponse): void {
  sendJson(res, 200, { status: 'ok' });
}

/** 200 when calls can be served, 503 with reasons when not. */
export async function serveReadyz(
  res: ServerResponse,
  readiness: () => Promise<Readiness>,
  isStopping: boolean,
): Promise<void> {
  const { isReady, reasons } = isStopping
    ? { isReady: false, reasons: ['The gateway is stopping.'] }
    : await readiness();
  sendJson(res, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', reasons });
}

function sendJson(res: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  res.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  res.end(body);
}
