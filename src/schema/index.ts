/** The whole schema: each file below adds its types and operations to the builder. */
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './access/quota.ts';
import './access/token.ts';
import './environment/environment.ts';
import './event.ts';
import './execution/execute.ts';
import './execution/executeBatch.ts';
import './execution/execution.ts';
import './execution/executions.ts';
import './execution/executionFiles.ts';
import './execution/input.ts';
import './execution/interrupt.ts';
import './execution/outputEvent.ts';
import './file/changes.ts';
import './file/file.ts';
import './pool/poolSnapshot.ts';
import './pool/poolStatus.ts';
import './pool/worker.ts';
import './scalars.ts';
import './session/openSession.ts';
import './session/release.ts';
import './session/session.ts';
import './session/sessionContext.ts';
import './session/sessionSnapshot.ts';
import './viewer.ts';

export const schema: GraphQLSchema = builder.toSchema();
