import { pause } from '../../async/pause.ts';
import type { Queries } from '../queries/createQueries.ts';

/** Events in one transaction. Sealing them takes the database about 10 ms. */
const PAGE_EVENTS = 500;

/** Pauses as long as the last page took, so that a long history leaves half of a CPU to the commits. */
export const PAGE_PAUSES = 1;

export interface SealingOptions {
  readonly gatewayId: string;
  /** Length of the pause after a page, as a multiple of the time that the page took. */
  readonly pauses: number;
  /** Asked before each page. */
  readonly isOver: () => boolean;
  readonly signal?: AbortSignal;
}

/** Seals page by page until every event that was committed before the call is sealed, or until `isOver`. */
export async function sealAll(
  queries: Pick<Queries, 'sealEvents'>,
  { gatewayId, pauses, isOver, signal }: SealingOptions,
): Promise<void> {
  while (!isOver()) {
    const startedAt = performance.now();
    if ((await queries.sealEvents(gatewayId, PAGE_EVENTS)) < PAGE_EVENTS) return;
    await pause(pauses * (performance.now() - startedAt), signal);
  }
}
