import type { ExecutionEnd } from '../../domain/execution.ts';
import type { Database } from '../../events/database.ts';

/**
 * Calls `listener` with each execution whose end this gateway has recorded, until the function it gives is called. Every
 * gateway hears of every end; so what all gateways count in this way adds up.
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
