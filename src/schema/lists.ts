/** Lists of executions, sessions and workers, newest first; and who the caller is. */
import { builder } from './builder.ts';
import { connectionOf, PAGE_ARGS } from './connection.ts';
import { Execution, ExecutionStatus } from './executionType.ts';
import { Session } from './session.ts';
import { Worker, WorkerState } from './worker.ts';

const ExecutionConnection = connectionOf('Execution', Execution);
const SessionConnection = connectionOf('Session', Session);
const WorkerConnection = connectionOf('Worker', Worker);

const Viewer = builder.objectRef<{ tenant: string }>('Viewer').implement({
  description: 'Who the token is.',
  fields: (t) => ({
    tenant: t.exposeString('tenant', { description: 'Whose executions and sessions it sees.' }),
  }),
});

builder.queryFields((t) => ({
  executions: t.field({
    type: ExecutionConnection,
    description: 'Executions, the last accepted first.',
    args: {
      userUuid: t.arg.string({ description: 'Only of this user.' }),
      status: t.arg({ type: ExecutionStatus, description: 'Only those in this status.' }),
      from: t.arg({ type: 'DateTime', description: 'Only those requested then or later.' }),
      to: t.arg({ type: 'DateTime', description: 'Only those requested before then.' }),
      first: t.arg.int(PAGE_ARGS.first),
      after: t.arg.string(PAGE_ARGS.after),
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.lists.executions(principal, filter, { first, after }),
  }),
  sessions: t.field({
    type: SessionConnection,
    description: 'Sessions, the last opened first.',
    args: {
      userUuid: t.arg.string({ description: 'Only of this user.' }),
      isOpen: t.arg.boolean({
        description: 'Only those that are open, or only those that are not.',
      }),
      first: t.arg.int(PAGE_ARGS.first),
      after: t.arg.string(PAGE_ARGS.after),
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.lists.sessions(principal, filter, { first, after }),
  }),
  workers: t.field({
    type: WorkerConnection,
    description: 'Workers of this installation, the last requested first.',
    args: {
      states: t.arg({ type: [WorkerState], description: 'Only those in one of these states.' }),
      first: t.arg.int(PAGE_ARGS.first),
      after: t.arg.string(PAGE_ARGS.after),
    },
    resolve: (_root, { states, ...page }, { service }) => service.lists.workers({ states }, page),
  }),
  viewer: t.field({
    type: Viewer,
    description: 'Who the token is.',
    resolve: (_root, _args, { principal }) => principal,
  }),
}));
