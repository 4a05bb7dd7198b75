/**
 * How the data of each event type has changed. Stored events are never rewritten. When an old event is read, its data
 * are converted to the current shape, one version at a time. So all other code knows only the current shape.
 */
import type { DomainEvent } from './events.ts';

type EventType = DomainEvent['type'];
type Data = Readonly<Record<string, unknown>>;
/** Turns the data of one version into the data of the next version. Pure. It accepts whatever was recorded. */
type Upcaster = (data: Data) => Data;

/** For each type that has changed: the step from version 1 to 2, then from 2 to 3, and so on. */
const UPCASTERS: Partial<Record<EventType, readonly Upcaster[]>> = {
  // Version 2 adds the exit code of a kernel that died during the execution. Version 1 did not record it.
  ExecutionFinished: [(data) => ({ ...data, exitCode: null })],
};

/** The schema version that this release writes. */
export function schemaVersionOf(type: EventType): number {
  return 1 + (UPCASTERS[type]?.length ?? 0);
}

/**
 * A stored event in the current shape.
 * @throws Error if a later release wrote it: this release cannot know what it means
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
