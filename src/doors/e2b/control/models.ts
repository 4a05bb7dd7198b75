/** Sandboxes as the API describes them. */
import type { Session } from '../../../domain/session.ts';
import type { WorkerLimits } from '../../../domain/worker.ts';
import { networkFields } from './network.ts';
import { templateIdOf } from './template.ts';

/**
 * The version of E2B's daemon whose features are here. By it, SDKs decide what they ask for: this is the last one before
 * files have metadata.
 */
const ENVD_VERSION = '0.5.7';
/** Python's SDK demands one. It says nothing. */
const CLIENT_ID = 'cellhouse';

type Described = Pick<Session, 'environment' | 'openedAt' | 'metadata' | 'egressAllow'>;

/** What every description begins with. */
function whichOf({ environment }: Pick<Session, 'environment'>, sandboxId: string) {
  return {
    templateID: templateIdOf(environment),
    sandboxID: sandboxId,
    clientID: CLIENT_ID,
    envdVersion: ENVD_VERSION,
  };
}

/** A sandbox that somebody may now use. @param key to its session */
export function sandboxModel(
  session: Pick<Session, 'environment'>,
  sandboxId: string,
  key: string,
): object {
  const keys = { envdAccessToken: key, trafficAccessToken: key };
  return { ...whichOf(session, sandboxId), ...keys, domain: null };
}

export interface Facts {
  readonly sandboxId: string;
  readonly endAt: Date;
  readonly limits: WorkerLimits;
}

/** A sandbox in a list. */
export function listedModel(
  session: Pick<Described, 'environment' | 'openedAt' | 'metadata'>,
  { sandboxId, endAt, limits }: Facts,
): object {
  return {
    ...whichOf(session, sandboxId),
    startedAt: session.openedAt.toISOString(),
    endAt: endAt.toISOString(),
    state: 'running',
    cpuCount: cpuCountOf(limits),
    memoryMB: limits.memoryMb,
    diskSizeMB: limits.diskMb,
    metadata: session.metadata,
  };
}

/** All about a sandbox. @param key to its session. Null: for somebody who may only look */
export function detailModel(session: Described, facts: Facts, key: string | null): object {
  return {
    ...listedModel(session, facts),
    ...(key !== null && { envdAccessToken: key }),
    domain: null,
    ...networkFields(session.egressAllow),
    lifecycle: { onTimeout: 'kill', autoResume: false },
  };
}

/** The API has only whole ones. */
export function cpuCountOf({ cpus }: Pick<WorkerLimits, 'cpus'>): number {
  return Math.max(1, Math.ceil(cpus));
}
