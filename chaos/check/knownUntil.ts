/** What a gateway must know of changes when it records an event. */
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { FaultName, FaultRecord, History } from '../history.ts';

/**
 * How long a gateway needs to hear of a change, or to carry out what it has decided on before: a second while
 * notifications are lost (docs/quotas.md), and as much again twice on a busy machine.
 */
const HEARS_WITHIN_MS = 3_000;
/** A gateway reads on a dead connection until the answer is due (20 s, src/events/connection), then on another. */
const HALF_OPEN_MS = 22_000;

/** Faults that keep a gateway from hearing, or from committing, and how long they do so after they are healed. */
const DEAFENING: Partial<Record<FaultName, number>> = {
  'gateway: SIGSTOP, SIGCONT': HEARS_WITHIN_MS,
  'PostgreSQL: kill -9': HEARS_WITHIN_MS,
  'PostgreSQL: restarted': HEARS_WITHIN_MS,
  'PostgreSQL: away for a minute': HEARS_WITHIN_MS,
  'wire: cut': HEARS_WITHIN_MS,
  'wire: refused': HEARS_WITHIN_MS,
  'wire: slow': HEARS_WITHIN_MS,
  'wire: half open': HALF_OPEN_MS,
};

/** Everything that was recorded before this time is known to the gateway that has recorded this event. */
export function knownUntil(
  { faults, gatewayIds }: History,
  event: RecordedEvent | undefined,
): number {
  if (event === undefined) return Number.NEGATIVE_INFINITY;
  const gateway = gatewayIds.indexOf(event.metadata.gatewayId);
  const deaf = faults.flatMap((fault) => deafness(fault, gateway));
  const at = new Date(event.recordedAt).getTime();
  let since = at - HEARS_WITHIN_MS;
  // One may have begun before another had ended.
  for (;;) {
    const earlier = deaf
      .filter(([from, to]) => from <= at && to >= since)
      .map(([from]) => from - HEARS_WITHIN_MS);
    const next = Math.min(since, ...earlier);
    if (next === since) return since;
    since = next;
  }
}

function deafness(
  { name, startedAt, healedAt, gateway }: FaultRecord,
  of: number,
): (readonly [number, number])[] {
  const after = DEAFENING[name];
  return after !== undefined && (gateway === null || gateway === of)
    ? [[startedAt, healedAt + after]]
    : [];
}
