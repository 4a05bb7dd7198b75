/** `Event`, and the queries that list events. */
import type { Actor as ActorFacts, RecordedEvent } from '../domain/events.ts';
import { Role } from './access.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';

const Actor = builder.objectRef<ActorFacts>('Actor').implement({
  description: 'Who caused an event.',
  fields: (t) => ({
    token: t.exposeString('token', {
      description: 'The id of the token; `auth-token` for AUTH_TOKEN, `cli` for `cellhouse`.',
    }),
    role: t.expose('role', { type: Role, description: 'The role that it had.' }),
    tenant: t.exposeString('tenant', { description: 'Its tenant.' }),
    door: t.exposeString('door', {
      description:
        'The wire by which the call came: `graphql`, `files`, the name of a door, or `cli`.',
    }),
  }),
});

const Event = builder.objectRef<RecordedEvent>('Event').implement({
  description:
    'A fact that was recorded once and never changes. docs/internals/events.md lists all types.',
  fields: (t) => ({
    id: t.id({ description: 'The id of the event.', resolve: ({ metadata }) => metadata.eventId }),
    type: t.string({
      description: 'The type of the event, e.g. WorkerReady.',
      resolve: ({ event }) => event.type,
    }),
    at: t.field({
      type: 'DateTime',
      description: 'When it happened, by the clock of the process that saw it.',
      resolve: ({ event }) => new Date(event.data.at),
    }),
    recordedAt: t.expose('recordedAt', {
      type: 'DateTime',
      description: 'When it was committed, by the clock of the database.',
    }),
    position: t.exposeFloat('position', {
      description:
        'Its place, in commit order: among all events for an operator, among the events of their tenant for everybody else. A whole number.',
    }),
    version: t.exposeInt('version', { description: 'Its place in its stream, from 1.' }),
    data: t.field({
      type: 'JSON',
      description: 'The data of the event. docs/internals/events.md describes it for each type.',
      resolve: (event, _args, context, info) => context.answer(info).eventData(event),
    }),
    gatewayId: t.id({
      description: 'The gateway that recorded it.',
      resolve: ({ metadata }) => metadata.gatewayId,
    }),
    causationId: t.id({
      nullable: true,
      description: 'The event that caused it. Null if there is none.',
      resolve: ({ metadata }) => metadata.causationId,
    }),
    correlationId: t.id({
      nullable: true,
      description:
        'The id of the execution on whose behalf it was recorded, else of the first event of its commit.',
      resolve: ({ metadata }) => metadata.correlationId,
    }),
    actor: t.field({
      type: Actor,
      nullable: true,
      description: 'Who caused it. Null: a gateway by itself, or it is older than actors.',
      resolve: ({ metadata }) => metadata.actor,
    }),
  }),
});

const EventConnection = connectionOf('Event', Event);

builder.queryFields((t) => ({
  events: t.field({
    type: EventConnection,
    description:
      'All events, for an operator, and those of their tenant, for everybody else, in the order in which they were recorded. A client that has read up to a position never gets a smaller one later.',
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
    description:
      'The events of a worker, in order; for everybody but an operator, those since it has had a session. Null if there is no such worker.',
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
    description: 'The events of a session, in order. Null if there is no such session.',
    args: {
      sessionId: t.arg.id({ required: true, description: 'The session.' }),
      ...pageArgs,
    },
    resolve: (_root, { sessionId, ...page }, { service, principal }) =>
      service.sessionEvents(principal, String(sessionId), page),
  }),
}));
