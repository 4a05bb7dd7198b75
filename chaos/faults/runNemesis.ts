/**
 * Causes random faults, several at the same time, and undoes them: it starts a process again, or opens a wire.
 * Cellhouse itself must recover from everything else.
 */
import { pause } from '../../src/async/pause.ts';
import { within } from '../../src/async/within.ts';
import type { FaultRecord } from '../history.ts';
import type { Candidate, FaultKind, Scene, WorkerContainer } from './fault.ts';
import { accessFaults, gatewayFaults } from './gatewayFaults.ts';
import { diskFault, serviceFaults, wireFaults } from './serviceFaults.ts';
import { workerFaults } from './workerFaults.ts';

const PAUSE_MEAN_MS = 1_100;
/** With more faults at the same time, no user would ever be served. */
const MAX_AT_ONCE = 3;
/** Limit for one step of a fault. A starting engine has to restore containers, and a starting PostgreSQL to recover. */
const FAULT_LIMIT_MS = 150_000;

const KINDS: readonly FaultKind[] = [
  ...gatewayFaults,
  ...workerFaults,
  ...serviceFaults,
  ...wireFaults,
  diskFault,
  ...accessFaults,
];

export interface NemesisDeps {
  readonly scene: Omit<Scene, 'workers'>;
  readonly record: (fault: FaultRecord) => void;
  readonly say: (line: string) => void;
}

/** Causes faults until `signal` is aborted, then heals all. Resolves with failures to cause or to heal a fault. */
export async function runNemesis(deps: NemesisDeps, signal: AbortSignal): Promise<string[]> {
  const { random } = deps.scene;
  const running = new Map<Promise<void>, Candidate>();
  const failures: string[] = [];
  while (!signal.aborted) {
    await pause(random.waitMs(PAUSE_MEAN_MS), signal);
    if (running.size >= MAX_AT_ONCE) await Promise.race(running.keys());
    if (signal.aborted) break;
    const busy = [...running.values()];
    const choice = choose({ ...deps.scene, workers: await workersOf(deps, busy) }, busy);
    if (!choice) continue;
    const fault = runFault(deps, choice, signal)
      .catch((error: unknown) => {
        failures.push(`${choice.kind.name}: ${String(error)}`);
      })
      .finally(() => running.delete(fault));
    running.set(fault, choice.candidate);
  }
  await Promise.all(running.keys());
  return failures;
}

interface Choice {
  readonly kind: FaultKind;
  readonly candidate: Candidate;
}

function choose(scene: Scene, busy: readonly Candidate[]): Choice | null {
  const isFree = ({ resource, needs }: Candidate) =>
    busy.every((other) => ![resource, needs].includes(other.resource) && other.needs !== resource);
  const possible = KINDS.map((kind) => ({
    kind,
    weight: kind.weight,
    candidates: kind.candidates(scene).filter(isFree),
  })).filter(({ candidates }) => candidates.length > 0);
  const chosen = scene.random.pickWeighted(possible);
  const candidate = chosen && scene.random.pick(chosen.candidates);
  return candidate ? { kind: chosen.kind, candidate } : null;
}

async function runFault(
  { record, say }: NemesisDeps,
  { kind, candidate }: Choice,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = Date.now();
  const strike = await inTime(candidate.strike());
  if (strike === null) return;
  say(`${kind.name} ${candidate.resource}${strike.holdMs > 0 ? ` for ${strike.holdMs} ms` : ''}`);
  const struckAt = Date.now();
  if (strike.holdMs > 0) {
    await pause(strike.holdMs, signal);
    await inTime(strike.heal());
  }
  const { gateway = null, workerId = null, user = null } = candidate.on;
  const healedAt = strike.holdMs > 0 ? Date.now() : struckAt;
  record({ name: kind.name, startedAt, healedAt, gateway, workerId, user });
}

/** The running workers. Empty while the engine is away. */
async function workersOf(
  { scene }: NemesisDeps,
  busy: readonly Candidate[],
): Promise<readonly WorkerContainer[]> {
  if (busy.some(({ resource }) => resource === 'engine')) return [];
  const containers = await scene.world.engine.docker.listContainers({
    filters: { label: ['cellhouse.worker'], status: ['running'] },
  });
  return containers.map(({ Id, Labels }) => ({
    containerId: Id,
    workerId: Labels['cellhouse.worker'] ?? '',
  }));
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return within(FAULT_LIMIT_MS, work, () => {
    throw new Error(`Not within ${FAULT_LIMIT_MS} ms.`);
  });
}
