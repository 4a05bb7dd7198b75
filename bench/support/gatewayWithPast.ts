/** Starts a gateway whose database holds a long history, and measures its restart. */
import { pino } from 'pino';
import { pollUntil } from '../../src/async/pollUntil.ts';
import { ensureEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { withSql } from './benchDatabase.ts';
import { generateHistory } from './generateHistory.ts';
import type { HistorySize } from './historySize.ts';

/** How often `/readyz` is polled. This bounds the precision of `readyMs`. */
const LOOK_MS = 5;
const READY_TIMEOUT_MS = 60_000;

/**
 * Resolves when the gateway serves again.
 * @throws Error if the history cannot be written; the gateway is destroyed then
 */
export async function startGatewayWithPast(
  size: HistorySize,
  settings: Readonly<Record<string, string>>,
  onAdded?: (executions: number) => void,
): Promise<TestGateway> {
  const gateway = await startTestGateway(settings);
  try {
    // A running gateway would read all the new events.
    await gateway.kill('SIGKILL');
    const { dataDir } = gateway;
    const address = await ensureEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) });
    await withSql(address, (sql) =>
      generateHistory(sql, size, onAdded === undefined ? {} : { onAdded }),
    );
    await gateway.restart();
    return gateway;
  } catch (error: unknown) {
    await gateway.destroy();
    throw error;
  }
}

/**
 * Kills the gateway with SIGKILL and starts it again. PostgreSQL and the workers go on meanwhile. Resolves with
 * `performance.now()` at the start of its process, and the milliseconds from then until `/readyz` answered 200, which
 * means that every worker is adopted.
 */
export async function restartHard(
  gateway: TestGateway,
): Promise<{ startedAt: number; readyMs: number }> {
  await gateway.kill('SIGKILL');
  const startedAt = performance.now();
  const starting = gateway.restart();
  const readyMs = await untilReady(gateway, startedAt);
  await starting;
  return { startedAt, readyMs };
}

async function untilReady({ url }: TestGateway, startedAt: number): Promise<number> {
  const isReady = await pollUntil({ everyMs: LOOK_MS, limitMs: READY_TIMEOUT_MS }, () =>
    fetch(`${url}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  if (isReady) return performance.now() - startedAt;
  throw new Error(`Not ready within ${READY_TIMEOUT_MS} ms.`);
}
