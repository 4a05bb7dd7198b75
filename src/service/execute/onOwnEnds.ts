import type { ExecutionEnd } from '../../domain/execution.ts';
import type { Database } from '../../events/database.ts';

/**
 * Calls `listener` with each execution whose end this gateway has recorded. Returns a function that removes the
 * listener. Every gateway is notified of every end, so ends of other gateways are left out: then the sum of all
 * gateways' counts is right.
 */
export function onOwnEnds(
  { gatewayId, wakeUps }: Pick<Database, 'gatewayId' | 'wakeUps'>,
  listener: (end: ExecutionEnd) => void,
): () => void {
  return wakeUps.onEvent(({ event, metadata }) => {
    if (metadata.gatewayId === gatewayId && event.type === 'ExecutionFinished')
      listener(event.data);
  });
}
