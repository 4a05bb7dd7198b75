import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import type { Client } from '../connection/client.ts';
import { readSchemaVersion, tooOld } from './compatibility.ts';
import type { Release } from './release.ts';

/** Interval between two checks: about how long a gateway still works after its database has become too new for it. */
const POLL_MS = 2_000;

export interface CompatibilityWatch {
  /**
   * Resolves with a message for the operator once this release is too old for the database. Until then it stays
   * pending.
   */
  readonly outdated: Promise<string>;
  /** Idempotent. */
  close(): void;
}

/** Checks regularly whether a later release has made this one too old for the database. One check runs at a time. */
export function watchCompatibility(
  client: Client,
  release: Release,
  logger: Logger,
): CompatibilityWatch {
  const closing = new AbortController();
  const { signal } = closing;
  const outdated = new Promise<string>((resolve) => {
    const watch = async (): Promise<void> => {
      for (;;) {
        await pause(POLL_MS, signal);
        if (signal.aborted) return;
        try {
          const found = await client.answered(readSchemaVersion(client.sql));
          const objection = found && tooOld(release, found);
          if (objection) return resolve(objection);
        } catch (err: unknown) {
          if (!signal.aborted)
            logger.warn(
              { err },
              'Could not check whether a later release has changed the database',
            );
        }
      }
    };
    void watch();
  });
  return { outdated, close: () => closing.abort() };
}
