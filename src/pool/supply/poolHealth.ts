/**
 * Whether workers can be made, and why not.
 *
 * ```
 *  well --engine away--> degraded (engine-away, other-engine) --engine back--> well
 *  well --a worker could not be made--> degraded (why) --one was made, or a while without another failure--> well
 * ```
 * An absent engine explains all other failures, so it takes precedence. Existing sessions are not affected. A failure
 * that affects only one environment is reported only to users who wait for a worker of it.
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
  /** Null: as far as known, workers can be made. Failures that affect only single environments do not count. */
  readonly degradation: PoolDegradation | null;
  /** Why no worker of this environment can be made. Null: as far as known, they can be made. */
  degradationFor(environment: string | null): PoolDegradation | null;
  /** @param reason `engine-away`, or `other-engine` if another engine answers in its place */
  engineAway(reason: RuntimeFailure): void;
  engineBack(): void;
  /** @param environment the name of the worker's environment; null if it has none */
  creationFailed(error: unknown, environment: string | null): void;
  creationSucceeded(environment: string | null): void;
}

export interface PoolHealthDeps {
  readonly now: () => Date;
  readonly onChange: () => void;
}

/** Failures of the engine or of the machine, which affect the workers of all environments. */
const COMMON: readonly PoolDegradation['reason'][] = ['engine-away', 'other-engine', 'disk-full'];

interface Failure {
  readonly degradation: PoolDegradation;
  /** When it last happened. */
  readonly at: number;
}

export function createPoolHealth({ now, onChange }: PoolHealthDeps): PoolHealth {
  let away: PoolDegradation | null = null;
  /**
   * By environment. The key null stands for failures that affect all environments, and for those of workers without an
   * environment.
   */
  const failures = new Map<string | null, Failure>();

  function degradation(reason: PoolDegradation['reason'], since: Date): PoolDegradation {
    return { reason, message: `${MESSAGES[reason]} Sessions go on.`, since };
  }

  function recent(environment: string | null): PoolDegradation | null {
    const failure = failures.get(environment);
    if (failure === undefined || now().getTime() - failure.at >= FAILURE_MEMORY_MS) return null;
    return failure.degradation;
  }

  return {
    get degradation() {
      return away ?? recent(null);
    },
    degradationFor: (environment) => {
      const common = away ?? recent(null);
      if (environment === null) return common;
      return common && COMMON.includes(common.reason) ? common : recent(environment);
    },
    engineAway: (reason) => {
      if (away?.reason !== reason) away = degradation(reason, now());
      onChange();
    },
    engineBack: () => {
      const reason = failures.get(null)?.degradation.reason;
      if (reason === 'engine-away' || reason === 'other-engine') failures.delete(null);
      away = null;
      onChange();
    },
    creationFailed: (error, environment) => {
      const reason = error instanceof RuntimeError ? error.kind : 'worker-start-failed';
      const of = COMMON.includes(reason) ? null : environment;
      const before = failures.get(of)?.degradation;
      failures.set(of, {
        degradation: before?.reason === reason ? before : degradation(reason, now()),
        at: now().getTime(),
      });
      onChange();
    },
    creationSucceeded: (environment) => {
      const reason = failures.get(null)?.degradation.reason;
      const isCommonOver = reason !== undefined && COMMON.includes(reason) && failures.delete(null);
      if (failures.delete(environment) || isCommonOver) onChange();
    },
  };
}
