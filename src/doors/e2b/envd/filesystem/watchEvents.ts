import type { FolderEvent, FolderEventType } from '../../../../domain/workerFiles.ts';
import { entryInfoOf } from './entryInfo.ts';

const TYPES: Readonly<Record<FolderEventType, string>> = {
  create: 'EVENT_TYPE_CREATE',
  write: 'EVENT_TYPE_WRITE',
  remove: 'EVENT_TYPE_REMOVE',
  rename: 'EVENT_TYPE_RENAME',
  chmod: 'EVENT_TYPE_CHMOD',
};

/**
 * Events as envd tells them. A new file that was written has one more there, between the two: envd gives the file to its
 * user once it is made. Clients count on three events.
 */
export function eventsOfE2b(events: readonly FolderEvent[]): object[] {
  return events.flatMap((event, at) => {
    const next = events[at + 1];
    const isNewFile = event.type === 'create' && next?.type === 'write' && next.name === event.name;
    return isNewFile
      ? [eventMessage(event), eventMessage({ ...event, type: 'chmod' })]
      : [eventMessage(event)];
  });
}

function eventMessage({ type, name, entry }: FolderEvent): object {
  return { name, type: TYPES[type], ...(entry && { entry: entryInfoOf(entry) }) };
}
