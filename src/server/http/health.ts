/** Serves `/livez` and `/readyz`. Neither needs a token. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerJson } from '../../doors/shared/jsonAnswer.ts';
import type { AddressOf } from './authenticate.ts';

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

/**
 * Answers 200. It only shows that the process runs, and its version. `/livez?address` also says from which address the
 * caller comes, as failed authentications are counted by it. So an operator sees whether TRUSTED_PROXIES is right.
 */
export function serveLivez(
  req: IncomingMessage,
  res: ServerResponse,
  { version, addressOf }: { readonly version: string; readonly addressOf: AddressOf },
): void {
  const more = req.url?.endsWith('?address') ? { address: addressOf(req) } : {};
  answerJson(res, 200, { status: 'ok', version, ...more }, HEADERS);
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
