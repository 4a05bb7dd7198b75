/** `/livez` and `/readyz`: neither needs a token. */
import type { ServerResponse } from 'node:http';

export interface Readiness {
  /**
   * `degraded`: sessions are served, and new users only as far as there are idle workers. It counts as ready: the cause (the
   * engine, the image, the disk) is shared by all gateways, and taking this one away would cut off its sessions for nothing.
   */
  readonly status: 'ready' | 'degraded' | 'not ready';
  /** Why not ready, each a sentence; empty when ready. */
  readonly reasons: readonly string[];
}

/** The process runs and answers; nothing else is claimed. */
export function serveLivez(res: ServerResponse): void {
  sendJson(res, 200, { status: 'ok' });
}

/** 200 when calls can be served, degraded or not; 503 when not. With the reasons. */
export async function serveReadyz(
  res: ServerResponse,
  readiness: () => Promise<Readiness>,
  isStopping: boolean,
): Promise<void> {
  const { status, reasons }: Readiness = isStopping
    ? { status: 'not ready', reasons: ['The gateway is stopping.'] }
    : await readiness();
  sendJson(res, status === 'not ready' ? 503 : 200, { status, reasons });
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
