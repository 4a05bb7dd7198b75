/** `Event`: facts as they are recorded, in pages. */
import type { RecordedEvent } from '../domain/events.ts';
import { builder } from './builder.ts';
import { connectionOf, pageArgs } from './connection.ts';

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
      resolve: (event, _args, context, info) => context.answer(info).eventData(event),
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

const EventConnection = connectionOf('Event', Event);

builder.queryFields((t) => ({
  events: t.field({
    type: EventConnection,
    description:
      'Everything that was recorded, in the order in which it was: whoever has read on to a position will never find a smaller one later.',
    args: {
      types: t.arg.stringList({ description: 'Only these types, e.g. ["SessionOpened"].' }),
      ...pageArgs,
    },
    resolve: (_root, { types, ...page }, { service, principal }) =>
      service.events(principal, { types }, page),
  }),
  workerEvents: t.field({
    type: EventConnection,
    nullable: true,
    description: "A worker's life as it was recorded. Null: there is no such worker.",
    args: {
      workerId: t.arg.id({ required: true, description: 'The worker.' }),
      ...pageArgs,
    },
    resolve: (_root, { workerId, ...page }, { service, principal }) =>
      service.workerEvents(principal, String(workerId), page),
  }),
  sessionEvents: t.field({
    type: EventConnection,
    nullable: true,
    description: "A session's life as it was recorded. Null: there is no such session.",
    args: {
      sessionId: t.arg.id({ required: true, description: 'The session.' }),
      ...pageArgs,
    },
    resolve: (_root, { sessionId, ...page }, { service, principal }) =>
      service.sessionEvents(principal, String(sessionId), page),
  }),
}));
