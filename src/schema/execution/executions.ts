/** The queries of executions. */
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';
import { METADATA_FILTER, TENANT_FILTER } from '../session/session.ts';
import { Execution } from './execution.ts';
import { ExecutionStatus } from './executionStatus.ts';

builder.queryFields((t) => ({
  execution: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution with this id. Null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The id of the execution.' }) },
    resolve: (_root, { id }, { service, principal }) => service.execution(principal, id),
  }),
  executions: t.field({
    type: connectionOf('Execution', Execution),
    description: 'Executions, the last accepted first.',
    args: {
      tenant: t.arg.string(TENANT_FILTER),
      userUuid: t.arg.string({ description: 'Only of this user.' }),
      status: t.arg({ type: ExecutionStatus, description: 'Only those in this status.' }),
      from: t.arg({ type: 'DateTime', description: 'Only those requested then or later.' }),
      to: t.arg({ type: 'DateTime', description: 'Only those requested before then.' }),
      metadata: t.arg(METADATA_FILTER),
      ...pageArgs,
    },
    resolve: (_root, { first, after, ...filter }, { service, principal }) =>
      service.executions(principal, filter, { first, after }),
  }),
}));
