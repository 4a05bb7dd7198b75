/** The whole schema: each file below adds its types and operations to the builder. */
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './events.ts';
import './execution.ts';
import './executionType.ts';
import './history.ts';
import './lists.ts';
import './outputEvent.ts';
import './poolStatus.ts';
import './scalars.ts';
import './session.ts';
import './worker.ts';

export const schema: GraphQLSchema = builder.toSchema();
