import { STREAM_KINDS } from '../../src/domain/entities.ts';
import { PROJECTIONS } from '../../src/events/projections/projections.ts';

/** Zero rows for each entity's table. */
export const NONE_OF_EACH: Readonly<Record<string, number>> = Object.fromEntries(
  STREAM_KINDS.map((kind) => [PROJECTIONS[kind].table, 0]),
);
