import type { Logger } from 'pino';
import type { Client } from '../connection/client.ts';
import { readSchemaVersion, tooOld } from './compatibility.ts';
import type { Release } from './release.ts';

/** Interval between two checks: about how long a gateway goes on after its database has become too new for it. */
const LOOK_MS = 2_000;

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
  let timer: NodeJS.Timeout | null = null;
  let isClosed = false;
  const outdated = new Promise<string>((resolve) => {
    const look = async (): Promise<void> => {
      const found = await client.answered(readSchemaVersion(client.sql));
      const objection = found && tooOld(release, found);
      if (!objection) return lookAgain();
      resolve(objection);
    };
    const lookAgain = (): void => {
      if (isClosed) return;
      timer = setTimeout(() => {
        look().catch((err: unknown) => {
          if (!isClosed) logger.warn({ err }, 'The schema version could not be read; trying again');
          lookAgain();
        });
      }, LOOK_MS).unref();
    };
    lookAgain();
  });
  return {
    outdated,
    close: () => {
      isClosed = true;
      if (timer) clearTimeout(timer);
    },
  };
}
