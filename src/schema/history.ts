/** The pool and a session as they were at an earlier time. */
import type { Worker as WorkerRow } from '../domain/worker.ts';
import type { PoolAt, SessionAt } from '../service/history/history.ts';
import { AT, builder, USER } from './builder.ts';
import { Execution } from './execution.ts';
import { EnvironmentWorkers, WorkerState } from './pool.ts';

const SessionSnapshot = builder.objectRef<SessionAt>('SessionSnapshot').implement({
  description: 'A session as it was at an earlier time, computed from its events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time from the query.' }),
    id: t.id({ description: 'The id of the session.', resolve: ({ session }) => session.id }),
    userUuid: t.string({
      description: 'The user whose session it is.',
      resolve: ({ session }) => session.userUuid,
    }),
    workerId: t.id({
      description: 'The id of its worker.',
      resolve: ({ session }) => session.workerId,
    }),
    openedAt: t.field({
      type: 'DateTime',
      description: 'When the session got its worker.',
      resolve: ({ session }) => session.openedAt,
    }),
    kernelRestarts: t.int({
      description: 'How often its kernel had been replaced by then.',
      resolve: ({ session }) => session.kernelRestarts,
    }),
    unfinishedExecutions: t.expose('unfinished', {
      type: [Execution],
      description: 'The executions that were unfinished at that time, in their current state.',
    }),
  }),
});

builder.queryField('sessionAt', (t) =>
  t.field({
    type: SessionSnapshot,
    nullable: true,
    description:
      'The session that a user had open at a time. Null if there was none, or if its events were pruned.',
    args: { userUuid: t.arg.string(USER), at: t.arg(AT) },
    resolve: (_root, { userUuid, at }, { service, principal }) =>
      service.sessionAt(principal, userUuid, at),
  }),
);

const WorkerSnapshot = builder.objectRef<WorkerRow>('WorkerSnapshot').implement({
  description: 'A worker as it was at an earlier time, computed from its events.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id of the worker.' }),
    state: t.expose('state', { type: WorkerState, description: 'Its state at that time.' }),
    name: t.exposeString('name', { description: "The container's name." }),
    containerId: t.exposeString('containerId', {
      nullable: true,
      description: "The container's id. Null if there was none yet.",
    }),
    sessionId: t.exposeID('sessionId', {
      nullable: true,
      description: 'The id of its session. Null if it had none yet.',
    }),
  }),
});

const PoolSnapshot = builder.objectRef<PoolAt>('PoolSnapshot').implement({
  description: 'The workers of this installation at an earlier time, computed from their events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time from the query.' }),
    totalWorkers: t.exposeInt('totalWorkers', {
      description: 'Number of workers: starting, idle and busy together.',
    }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Workers that serve a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', {
      description: 'Workers that are ready for a session.',
    }),
    startingWorkers: t.exposeInt('startingWorkers', {
      description: 'Workers that are being made.',
    }),
    environments: t.expose('environments', {
      type: [EnvironmentWorkers],
      description:
        'The workers of environments, which the other numbers include. An environment without workers is left out.',
    }),
    workers: t.expose('workers', {
      type: [WorkerSnapshot],
      description:
        'The workers that had been requested and not yet removed, in the order of their requests.',
    }),
  }),
});

builder.queryField('poolAt', (t) =>
  t.field({
    type: PoolSnapshot,
    description:
      'The workers that existed at an earlier time. Workers whose events were pruned are left out. Only for operators.',
    args: { at: t.arg(AT) },
    resolve: (_root, { at }, { service, principal }) => service.poolAt(principal, at),
  }),
);
