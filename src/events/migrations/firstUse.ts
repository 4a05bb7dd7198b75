/**
 * Handles the first use of a feature that gateways of an earlier release would get wrong, because they ignore what they
 * do not know. The first use makes these gateways stop: from then on, the database is too new for them. A rolling
 * update in which nobody uses the feature stops no gateway.
 *
 * An earlier gateway that was paused during this time has lost its leases. When it resumes, it notices within 2 s that
 * it must stop. Until then, it can still take over a worker that happens to have no gateway.
 */
import { pause } from '../../async/pause.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { Client } from '../connection/client.ts';

/** The features, each with the first schema version whose gateways know it. */
export const FIRST_USES = {
  /** Tokens other than AUTH_TOKEN. A gateway that does not know them would refuse their holders. */
  tokens: 45,
} as const;
/**
 * A gateway that has opened the database but not announced itself yet has no lease. It notices within 2 s that it is too
 * old (`watchCompatibility`); one more second is for its query.
 */
const NOTICED_MS = 3_000;
/**
 * Longer than all earlier gateways need to stop: 2 s to notice, and another 2 s until the lease of a killed one
 * expires.
 */
const WAIT_LIMIT_MS = 5_000;
const POLL_INTERVAL_MS = 200;

export interface FirstUse {
  /**
   * Resolves when every gateway that does not know the feature has stopped. After the first time, it needs no query.
   * @throws POOL_INITIALIZING while such a gateway is alive, or if the database is closed meanwhile
   */
  allow(what: keyof typeof FIRST_USES): Promise<void>;
}

/** @param closing aborted when the database is being closed, which ends each wait */
export function createFirstUse(client: Client, closing: AbortSignal): FirstUse {
  /** It is known that no gateway of a lower version than this is running. */
  let allowed = 0;
  const asking = new Map<number, Promise<void>>();

  async function ask(version: number): Promise<void> {
    await raise(client, version);
    const limit = performance.now() + WAIT_LIMIT_MS;
    while (!(await isClear(client, version))) {
      if (!closing.aborted) await pause(POLL_INTERVAL_MS, closing);
      if (closing.aborted || performance.now() > limit) throw formerGateway();
    }
    allowed = Math.max(allowed, version);
  }

  return {
    allow: async (what) => {
      const version = FIRST_USES[what];
      if (version <= allowed) return;
      const asked = asking.get(version) ?? ask(version).finally(() => asking.delete(version));
      asking.set(version, asked);
      await asked;
    },
  };
}

/** Keeps gateways that are too old from starting, and makes running ones stop. */
async function raise({ sql, answered }: Client, version: number): Promise<void> {
  await answered(sql`
    UPDATE schema_versions SET compatible_from = ${version}, raised_at = clock_timestamp()
    WHERE version = (SELECT max(version) FROM schema_versions) AND compatible_from < ${version}`);
}

/**
 * Whether no gateway of a lower version can be running. A database that was made by a release which knows the feature
 * never had such gateways, so there is no wait for gateways that are just starting.
 */
async function isClear({ sql, answered }: Client, version: number): Promise<boolean> {
  const [row] = await answered(sql<{ isClear: boolean }[]>`
    SELECT NOT EXISTS (
      SELECT FROM leases l
      LEFT JOIN gateway_releases r ON l.name = 'gateway-' || r.gateway_id AND l.epoch = r.epoch
      WHERE l.name = 'gateway-' || l.holder AND l.expires_at > clock_timestamp()
        AND (r.version IS NULL OR r.version < ${version})
    ) AND (
      (SELECT min(version) FROM schema_versions) >= ${version}
      OR (SELECT coalesce(max(raised_at), '-infinity') FROM schema_versions)
        < clock_timestamp() - ${NOTICED_MS} * interval '1 ms'
    ) AS is_clear`);
  return row?.isClear === true;
}

function formerGateway(): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    'A gateway of the former release, which does not know this kind of request, is still stopping. Send the request again.',
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
