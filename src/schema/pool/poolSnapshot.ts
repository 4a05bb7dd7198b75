/** `PoolSnapshot`: the workers as they were at an earlier time. */
import type { Worker as WorkerRow } from '../../domain/worker.ts';
import type { PoolAt } from '../../service/history/poolAt.ts';
import { builder } from '../builder.ts';
import { AT } from '../scalars.ts';
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

builder.queryField('poolAt', (t) =>
  t.field({
    type: PoolSnapshot,
    description:
      'The workers that there were at a time; those whose events were pruned are left out.',
    args: { at: t.arg(AT) },
    resolve: (_root, { at }, { service, principal }) => service.poolAt(principal, at),
  }),
);
