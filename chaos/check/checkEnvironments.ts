/** Checks that each session has a worker of the environment in which it was opened, and no other. */
import type { History } from '../history.ts';
import { lost, type Violation } from './facts.ts';

export function checkEnvironments({ events }: History): Violation[] {
  const names = new Map<string, string>();
  const ofWorkers = new Map<string, string | null>();
  const violations: Violation[] = [];
  for (const { event } of events) {
    if (event.type === 'EnvironmentRequested') names.set(event.data.environmentId, event.data.name);
    if (event.type === 'WorkerRequested')
      ofWorkers.set(event.data.workerId, names.get(event.data.environmentId ?? '') ?? null);
    if (event.type !== 'SessionOpened') continue;
    const asked = event.data.options?.environment ?? null;
    const given = ofWorkers.get(event.data.workerId);
    if (given !== asked)
      violations.push(lost(`${event.data.userUuid} asked for ${asked} and got ${given}`));
  }
  return violations;
}
