import type { Logger } from 'pino';
import { repeat } from '../async/repeat.ts';
import { type EmbeddedPostgresDeps, ensureEmbeddedPostgres } from './embeddedPostgres.ts';
import { layoutOf } from './layout.ts';
import { isAlive } from './processes.ts';
import { readStatus } from './serverStatus.ts';

/** Each check reads one small file and makes one system call. */
const POLL_INTERVAL_MS = 1_000;

/**
 * Until `close()`, starts the embedded server again whenever it has died. No other process does this. Meanwhile, code
 * keeps running in the workers.
 */
export function keepEmbeddedPostgres(
  deps: EmbeddedPostgresDeps & { readonly logger: Pick<Logger, 'info' | 'warn' | 'error'> },
): { close(): Promise<void> } {
  const closing = new AbortController();
  const kept = keep(deps, closing.signal);
  return {
    close: async () => {
      closing.abort();
      await kept;
    },
  };
}

async function keep(
  deps: Parameters<typeof keepEmbeddedPostgres>[0],
  signal: AbortSignal,
): Promise<void> {
  const layout = layoutOf(deps.dataDir);
  const poll = async () => {
    const status = readStatus(layout);
    if (status !== null && isAlive(status.pid)) return;
    deps.logger.warn('the embedded PostgreSQL has died; starting it again');
    await ensureEmbeddedPostgres(deps).catch((error: unknown) =>
      deps.logger.error({ err: error }, 'could not start the embedded PostgreSQL; trying again'),
    );
  };
  await repeat(POLL_INTERVAL_MS, signal, poll);
}
