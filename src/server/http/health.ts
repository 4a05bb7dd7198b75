/** Serves `/livez` and `/readyz`. Neither needs a token. */
import type { ServerResponse } from 'node:http';
import { answerJson } from '../../doors/shared/jsonAnswer.ts';

export interface Readiness {
  /**
   * `degraded`: existing sessions are served, but new users only while there are idle workers. It counts as ready,
   * because the cause (engine, image or disk) affects all gateways alike, and taking this gateway out of service would
   * only cut off its sessions.
   */
  readonly status: 'ready' | 'degraded' | 'not ready';
  /** Why it is not ready or degraded, as sentences. Empty when ready. */
  readonly reasons: readonly string[];
}

/** Answers 200. It only shows that the process runs, and its version. */
export function serveLivez(res: ServerResponse, version: string): void {
  answerJson(res, 200, { status: 'ok', version }, HEADERS);
}

/** Answers 200 if calls can be served, even if degraded, otherwise 503. The body gives the reasons. */
export async function serveReadyz(
  res: ServerResponse,
  readiness: () => Promise<Readiness>,
  isStopping: boolean,
): Promise<void> {
  const { status, reasons }: Readiness = isStopping
    ? { status: 'not ready', reasons: ['The gateway is stopping.'] }
    : await readiness();
  answerJson(res, status === 'not ready' ? 503 : 200, { status, reasons }, HEADERS);
}

const HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store',
} as const;
