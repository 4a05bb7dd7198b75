/** Events as they are recorded, in pages: `workerEvents`, `sessionEvents`. */
import type { RecordedEvent } from '../events/eventTypes.ts';
import type { EventPage } from '../pool/service.ts';
import { builder } from './builder.ts';

const Event = builder.objectRef<RecordedEvent>('Event').implement({
  description: 'A fact, recorded once and never changed. docs/events.md tells all types.',
  fields: (t) => ({
    id: t.id({ description: 'Its id.', resolve: ({ metadata }) => metadata.eventId }),
    type: t.string({
      description: 'What happened, e.g. WorkerReady.',
      resolve: ({ event }) => event.type,
    }),
    at: t.field({
      type: 'DateTime',
      description: 'When it became true, by the clock of the gateway that saw it.',
      resolve: ({ event }) => new Date(event.data.at),
    }),
    recordedAt: t.expose('recordedAt', {
      type: 'DateTime',
      description: 'When it was committed, by the clock of the database.',
    }),
    position: t.exposeFloat('position', {
      description: 'Its place among all events, in commit order; a whole number.',
    }),
    version: t.exposeInt('version', { description: 'Its place in its stream, from 1.' }),
    data: t.field({
      type: 'JSON',
      description: 'The facts.',
      resolve: ({ event }) => event.data,
    }),
    gatewayId: t.id({
      description: 'The gateway that recorded it.',
      resolve: ({ metadata }) => metadata.gatewayId,
    }),
    causationId: t.id({
      nullable: true,
      description: 'The event that caused it, where there is one.',
      resolve: ({ metadata }) => metadata.causationId,
    }),
    correlationId: t.id({
      nullable: true,
      description:
        'The execution on whose behalf it was recorded, else the first event of its commit.',
      resolve: ({ metadata }) => metadata.correlationId,
    }),
  }),
});

const EventEdge = builder.objectRef<RecordedEvent>('EventEdge').implement({
  description: 'An event and its place in the list.',
  fields: (t) => ({
    cursor: t.string({ description: 'For `after`.', resolve: cursorOf }),
    node: t.field({ type: Event, description: 'The event.', resolve: (event) => event }),
  }),
});

const PageInfo = builder.objectRef<EventPage>('PageInfo').implement({
  description: 'Where a page ends.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether there is more after it.' }),
    hasPreviousPage: t.boolean({
      description: 'Always false: these lists are read forwards.',
      resolve: () => false,
    }),
    startCursor: t.string({
      nullable: true,
      description: 'The cursor of its first edge; null if it is empty.',
      resolve: ({ events: [first] }) => (first ? cursorOf(first) : null),
    }),
    endCursor: t.string({
      nullable: true,
      description: 'The cursor of its last edge; null if it is empty.',
      resolve: ({ events }) => cursorOrNull(events.at(-1)),
    }),
  }),
});

const EventConnection = builder.objectRef<EventPage>('EventConnection').implement({
  description: 'A page of events, oldest first.',
  fields: (t) => ({
    edges: t.expose('events', { type: [EventEdge], description: 'The events of this page.' }),
    pageInfo: t.field({
      type: PageInfo,
      description: 'Whether there is more.',
      resolve: (page) => page,
    }),
  }),
});

function cursorOf({ version }: RecordedEvent): string {
  return String(version);
}

function cursorOrNull(event: RecordedEvent | undefined): string | null {
  return event ? cursorOf(event) : null;
}

const first = { description: 'At most so many, 1 to 1,000; 100 if it is left out.' } as const;
const after = { description: 'Only those after this cursor.' } as const;

builder.queryFields((t) => ({
  workerEvents: t.field({
    type: EventConnection,
    nullable: true,
    description: "A worker's life as it was recorded. Null: there is no such worker.",
    args: {
      workerId: t.arg.id({ required: true, description: 'The worker.' }),
      first: t.arg.int(first),
      after: t.arg.string(after),
    },
    resolve: (_root, { workerId, ...page }, { service }) =>
      service.history.workerEvents(String(workerId), page),
  }),
  sessionEvents: t.field({
    type: EventConnection,
    nullable: true,
    description: "A session's life as it was recorded. Null: there is no such session.",
    args: {
      sessionId: t.arg.id({ required: true, description: 'The session.' }),
      first: t.arg.int(first),
      after: t.arg.string(after),
    },
    resolve: (_root, { sessionId, ...page }, { service, principal }) =>
      service.history.sessionEvents(principal, String(sessionId), page),
  }),
}));
