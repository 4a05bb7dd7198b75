/** What was true at an earlier time: `sessionAt`, `poolAt`. */
import type { Worker as WorkerRow } from '../domain/worker.ts';
import type { PoolAt, SessionAt } from '../service/service.ts';
import { builder } from './builder.ts';
import { Execution } from './executionType.ts';
import { WorkerState } from './worker.ts';

const WorkerSnapshot = builder.objectRef<WorkerRow>('WorkerSnapshot').implement({
  description: 'A worker as it was at an earlier time, folded from its events.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    state: t.expose('state', { type: WorkerState, description: 'Where it was in its life.' }),
    name: t.exposeString('name', { description: "The container's name." }),
    containerId: t.exposeString('containerId', {
      nullable: true,
      description: 'Its container, once there was one.',
    }),
    sessionId: t.exposeID('sessionId', {
      nullable: true,
      description: 'The session it served by then.',
    }),
  }),
});

const SessionSnapshot = builder.objectRef<SessionAt>('SessionSnapshot').implement({
  description: 'A session as it was at an earlier time, folded from its events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time that was asked for.' }),
    id: t.id({ description: 'Its id.', resolve: ({ session }) => session.id }),
    userUuid: t.string({
      description: 'Whose it was.',
      resolve: ({ session }) => session.userUuid,
    }),
    workerId: t.id({ description: 'Its worker.', resolve: ({ session }) => session.workerId }),
    openedAt: t.field({
      type: 'DateTime',
      description: 'When it had got its worker.',
      resolve: ({ session }) => session.openedAt,
    }),
    kernelRestarts: t.int({
      description: 'How often its kernel had been replaced by then.',
      resolve: ({ session }) => session.kernelRestarts,
    }),
    unfinishedExecutions: t.expose('unfinished', {
      type: [Execution],
      description: 'What had been accepted and was not over, as it ended later.',
    }),
  }),
});

const PoolSnapshot = builder.objectRef<PoolAt>('PoolSnapshot').implement({
  description: 'The workers of this installation at an earlier time, folded from their events.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'The time that was asked for.' }),
    totalWorkers: t.exposeInt('totalWorkers', { description: 'Starting, idle and busy ones.' }),
    busyWorkers: t.exposeInt('busyWorkers', { description: 'Bound to a session.' }),
    idleWorkers: t.exposeInt('idleWorkers', { description: 'Ready for a session.' }),
    startingWorkers: t.exposeInt('startingWorkers', { description: 'Requested or starting.' }),
    workers: t.expose('workers', {
      type: [WorkerSnapshot],
      description: 'All whose container was there, or was being made or removed.',
    }),
  }),
});

const at = {
  type: 'DateTime',
  required: true,
  description: 'The time, by the clock of the database: what had been recorded by then counts.',
} as const;

builder.queryFields((t) => ({
  sessionAt: t.field({
    type: SessionSnapshot,
    nullable: true,
    description: 'The session that a user had open at a time; null if none, or if it was pruned.',
    args: { userUuid: t.arg.string({ required: true, description: 'The user.' }), at: t.arg(at) },
    resolve: (_root, args, { service, principal }) =>
      service.history.sessionAt(principal, args.userUuid, args.at),
  }),
  poolAt: t.field({
    type: PoolSnapshot,
    description:
      'The workers that there were at a time; those whose events were pruned are left out.',
    args: { at: t.arg(at) },
    resolve: (_root, args, { service }) => service.history.poolAt(args.at),
  }),
}));
