/** The whole schema: each file below adds its types and operations to the builder. */
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './access.ts';
import './environment.ts';
import './errorCode.ts';
import './event.ts';
import './execute.ts';
import './execution.ts';
import './file.ts';
import './history.ts';
import './output.ts';
import './pool.ts';
import './session.ts';

export const schema: GraphQLSchema = builder.toSchema();
