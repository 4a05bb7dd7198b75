import Docker from 'dockerode';
import type { Engine } from '../runtime.ts';
import { engineCall } from './dockerErrors.ts';

/** Added to dockerode's own limit. Catches answers that break off in the middle, which dockerode never reports. */
const BROKEN_ANSWER_ALLOWANCE_MS = 1_000;

interface EngineInfo {
  readonly ID: string;
  readonly LiveRestoreEnabled: boolean;
  readonly Runtimes: Readonly<Record<string, unknown>>;
}

/**
 * Asks the engine at a socket for its id and its abilities.
 * @throws RuntimeError `engine-away`, also after `limitMs`
 */
export async function askEngine(socketPath: string, limitMs: number): Promise<Engine> {
  const docker = new Docker({ socketPath, timeout: limitMs });
  const answer = engineCall(limitMs + BROKEN_ANSWER_ALLOWANCE_MS, docker.info());
  const info = (await answer) as EngineInfo;
  return {
    id: info.ID,
    keepsContainers: info.LiveRestoreEnabled,
    ociRuntimes: Object.keys(info.Runtimes),
  };
}
