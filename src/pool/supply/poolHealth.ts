/**
 * Whether workers can be made, and why not.
 *
 * ```
 *  well --engine away--> degraded (engine-away, other-engine) --engine back--> well
 *  well --a worker could not be made--> degraded (why) --one was made, or a while without another failure--> well
 * ```
 * An absent engine explains all other failures, so it takes precedence. Existing sessions are not affected.
 */

import type { PoolDegradation } from '../../domain/poolStatus.ts';
import { RuntimeError, type RuntimeFailure } from '../../runtime/runtime.ts';

/** A failure older than this no longer explains why a request waits. Longer than the pause between two attempts. */
const FAILURE_MEMORY_MS = 60_000;

const MESSAGES: Readonly<Record<PoolDegradation['reason'], string>> = {
  'engine-away': 'No worker can be made: the Docker engine does not answer.',
  'other-engine':
    'No worker can be made: another Docker engine answers in place of the one that the workers are on.',
  'image-missing': 'No worker can be made: the worker image does not exist on the Docker engine.',
  'disk-full': 'No worker can be made: the disk is full.',
  'worker-start-failed': 'The last worker could not be started.',
};

export interface PoolHealth {
  /** Null: as far as known, workers can be made. */
  readonly degradation: PoolDegradation | null;
  /** @param reason `engine-away`, or `other-engine` if another engine answers in its place */
  engineAway(reason: RuntimeFailure): void;
  engineBack(): void;
  creationFailed(error: unknown): void;
  creationSucceeded(): void;
}

export interface PoolHealthDeps {
  readonly now: () => Date;
  readonly onChange: () => void;
}

export function createPoolHealth({ now, onChange }: PoolHealthDeps): PoolHealth {
  let away: PoolDegradation | null = null;
  let failure: PoolDegradation | null = null;
  let failedAt = 0;

  function degradation(reason: PoolDegradation['reason'], since: Date): PoolDegradation {
    return { reason, message: `${MESSAGES[reason]} Sessions go on.`, since };
  }

  return {
    get degradation() {
      if (away !== null) return away;
      return now().getTime() - failedAt < FAILURE_MEMORY_MS ? failure : null;
    },
    engineAway: (reason) => {
      if (away?.reason !== reason) away = degradation(reason, now());
      onChange();
    },
    engineBack: () => {
      if (failure?.reason === 'engine-away' || failure?.reason === 'other-engine') failure = null;
      away = null;
      onChange();
    },
    creationFailed: (error) => {
      const reason = error instanceof RuntimeError ? error.kind : 'worker-start-failed';
      if (failure?.reason !== reason) failure = degradation(reason, now());
      failedAt = now().getTime();
      onChange();
    },
    creationSucceeded: () => {
      if (failure === null) return;
      failure = null;
      onChange();
    },
  };
}
