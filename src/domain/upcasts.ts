/**
 * How the data of each event type has changed. Stored events are never rewritten: reading brings an old one up to today's
 * shape, one version at a time, so that everything above this file knows that shape alone.
 */
import type { DomainEvent } from './events.ts';

type EventType = DomainEvent['type'];
type Data = Readonly<Record<string, unknown>>;
/** From one version's data to the next one's. Pure, and never refuses: what was recorded is so. */
type Upcaster = (data: Data) => Data;

/** For each type that ever changed: from version 1 to 2, from 2 to 3, ... */
const UPCASTERS: Partial<Record<EventType, readonly Upcaster[]>> = {
  // 2: with the exit code of a kernel that died in it. Before, nobody recorded it.
  ExecutionFinished: [(data) => ({ ...data, exitCode: null })],
};

/** The version that is written today. */
export function schemaVersionOf(type: EventType): number {
  return 1 + (UPCASTERS[type]?.length ?? 0);
}

/**
 * A stored event in the shape of today.
 * @throws Error if it was written by a later release, whose meaning this one cannot know
 */
export function upcast(type: EventType, storedAs: number, data: unknown): DomainEvent {
  const newest = schemaVersionOf(type);
  if (storedAs > newest) {
    throw new Error(
      `An event ${type} has schema version ${storedAs}, and this release knows ${newest}. Start the release that wrote it, or a later one.`,
    );
  }
  const steps = (UPCASTERS[type] ?? []).slice(storedAs - 1);
  const raised = steps.reduce((before, step) => step(before), data as Data);
  return { type, data: raised } as DomainEvent;
}
