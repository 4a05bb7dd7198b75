/**
 * How many calls wait for a worker, over all gateways. Each gateway writes its own number into its row. Only the rows
 * of live gateways count.
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Client } from '../connection/client.ts';
import type { Leases } from '../leases/leases.ts';
import { CHANNEL } from './parseNotification.ts';

export interface WaitingRequests {
  /** Sets how many calls wait at this gateway now. Other gateways learn of it a little later. */
  set(count: number): void;
  /** How many calls wait at all live gateways together. */
  total(): Promise<number>;
}

export interface WaitingRequestsDeps {
  readonly client: Client;
  readonly gatewayId: string;
  readonly leases: Pick<Leases, 'announce'>;
  readonly logger: Logger;
}

/** Most calls get a worker sooner than this, and so never have to be published. */
const TELL_DELAY_MS = 100;
const RETRY_DELAY_MS = 1_000;

export function createWaitingRequests(
  deps: WaitingRequestsDeps,
): WaitingRequests & { close(): Promise<void> } {
  const { client, gatewayId, leases } = deps;
  const closing = new AbortController();
  let count = 0;
  /**
   * The published number. Null at first: if this gateway was killed before, its row may contain any number, which must
   * be corrected.
   */
  let told: number | null = null;
  let telling: Promise<void> | null = null;

  async function tellOthers(): Promise<void> {
    await pause(TELL_DELAY_MS, closing.signal);
    while (count !== told && !closing.signal.aborted) {
      const now = count;
      try {
        if (now > 0) await leases.announce();
        await writeWaiting(client, gatewayId, now);
        told = now;
        await pause(TELL_DELAY_MS, closing.signal);
      } catch (error: unknown) {
        const message = 'could not tell other gateways how many calls wait here; trying again';
        deps.logger.warn({ error: messageOf(error) }, message);
        await pause(RETRY_DELAY_MS, closing.signal);
      }
    }
  }

  function tell(): void {
    if (count === told || closing.signal.aborted) return;
    telling ??= tellOthers().finally(() => {
      telling = null;
      tell();
    });
  }

  tell();
  return {
    set: (now) => {
      count = now;
      tell();
    },
    total: async () => count + (await readWaitingElsewhere(client, gatewayId)),
    close: async () => {
      closing.abort();
      await telling;
    },
  };
}

async function writeWaiting(
  { sql, answered }: Client,
  gatewayId: string,
  count: number,
): Promise<void> {
  const notification = JSON.stringify({ g: gatewayId, p: 0, x: [], s: [], w: true });
  await answered(sql`
    WITH written AS (
      INSERT INTO waiting_requests (gateway_id, count) VALUES (${gatewayId}, ${count})
      ON CONFLICT (gateway_id) DO UPDATE SET count = excluded.count RETURNING gateway_id
    )
    SELECT pg_notify(${CHANNEL}, ${notification}) FROM written`);
}

async function readWaitingElsewhere({ sql, answered }: Client, gatewayId: string): Promise<number> {
  const [row] = await answered(sql<{ count: number }[]>`
    SELECT coalesce(sum(w.count), 0)::int AS count FROM waiting_requests w
    JOIN leases l ON l.name = 'gateway-' || w.gateway_id AND l.expires_at > clock_timestamp()
    WHERE w.gateway_id <> ${gatewayId}`);
  return row?.count ?? 0;
}
