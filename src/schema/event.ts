/** `Event`, and the queries that list events. */
import { type Actor as ActorFacts, CLI_ACTOR, type RecordedEvent } from '../domain/events.ts';
import type { ListPage } from '../service/lists/lists.ts';
import { AUTH_TOKEN_HOLDER } from '../service/principal.ts';
import { Role } from './access.ts';
import { builder, connectionOf, pageArgs } from './builder.ts';
import type { SchemaContext } from './context.ts';
import { Door, EventType } from './enums.ts';
import { Execution } from './execution.ts';
import { Worker } from './pool.ts';
import { Session } from './session.ts';

/** What events have in place of an id where no token was used. */
const NO_TOKENS: readonly string[] = [AUTH_TOKEN_HOLDER.tokenId, CLI_ACTOR.token];

const Actor = builder.objectRef<ActorFacts>('Actor').implement({
  description: 'Who caused an event.',
  fields: (t) => ({
    token: t.id({
      nullable: true,
      description:
        'The id of the token. Null: the call came with AUTH_TOKEN, or, if `door` is CLI, it was a command of `cellhouse` on the machine.',
      resolve: ({ token }) => (NO_TOKENS.includes(token) ? null : token),
    }),
    role: t.expose('role', { type: Role, description: 'The role that the token had.' }),
    tenant: t.exposeString('tenant', { description: 'The tenant of the token.' }),
    door: t.expose('door', {
      type: Door,
      description: 'The interface through which the call came.',
    }),
  }),
});

const Event = builder.objectRef<RecordedEvent>('Event').implement({
  description: 'A fact that was recorded once and never changes.',
  fields: (t) => ({
    id: t.id({ description: 'The id of the event.', resolve: ({ metadata }) => metadata.eventId }),
    type: t.field({
      type: EventType,
      description: 'Its type, e.g. WorkerReady.',
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
    position: t.expose('position', {
      type: 'Int53',
      description:
        'Its place in commit order. Operators: among all events. Other callers: among the events of their tenant.',
    }),
    version: t.exposeInt('version', { description: 'Its place in its stream, from 1.' }),
    data: t.field({
      type: 'JSON',
      description: 'The data of the event. Its fields depend on `type`.',
      resolve: async (event, _args, context, info) => context.answer(info).eventData(event),
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
        'The id of the execution that it belongs to. If it belongs to none: the id of the first event of its commit.',
      resolve: ({ metadata }) => metadata.correlationId,
    }),
    actor: t.field({
      type: Actor,
      nullable: true,
      description:
        'Who caused it. Null if a gateway caused it by itself, or if the event is older than this field.',
      resolve: ({ metadata }) => metadata.actor,
    }),
  }),
});

const EventConnection = connectionOf('Event', Event);

/** Reads one list of events after the other, because each can be large. */
async function readEvents(
  { answer }: SchemaContext,
  info: { readonly rootValue: unknown },
  read: () => Promise<ListPage<RecordedEvent> | null>,
): Promise<ListPage<RecordedEvent>> {
  const whole = answer(info);
  whole.eventList();
  return await whole.inTurn(async () => (await read()) ?? { edges: [], hasNextPage: false });
}

builder.objectField(Session, 'events', (t) =>
  t.field({
    type: EventConnection,
    description: 'The events of the session, in order. Those of its executions are not among them.',
    args: pageArgs,
    resolve: ({ id }, page, context, info) =>
      readEvents(context, info, () => context.service.sessionEvents(context.principal, id, page)),
  }),
);

builder.objectField(Worker, 'events', (t) =>
  t.field({
    type: EventConnection,
    description:
      'The events of the worker, in order. Operators get all of them, other callers those since it has had a session. Not for the role USER.',
    args: pageArgs,
    resolve: ({ id }, page, context, info) =>
      readEvents(context, info, () => context.service.workerEvents(context.principal, id, page)),
  }),
);

builder.objectField(Execution, 'events', (t) =>
  t.field({
    type: EventConnection,
    description: 'The events of the execution, in order. Its output is not among them.',
    args: pageArgs,
    resolve: ({ id }, page, context, info) =>
      readEvents(context, info, () => context.service.executionEvents(context.principal, id, page)),
  }),
);

builder.queryField('events', (t) =>
  t.field({
    type: EventConnection,
    description:
      'Events, in the order in which they were recorded. Operators get all events, other callers those of their tenant. New events always come after those that a client has already read. Not for the role USER.',
    args: {
      types: t.arg({
        type: [EventType],
        description: 'Only these types, e.g. [SessionOpened, SessionClosed].',
      }),
      ...pageArgs,
    },
    resolve: (_root, { types, ...page }, { service, principal }) =>
      service.events(principal, { types }, page),
  }),
);
