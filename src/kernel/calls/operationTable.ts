/** Every call that a gateway can make to an agent. The agent's own table is `cellhouse_agent/operations/table.py`. */
import type { Operation } from './operation.ts';
import { ask } from './operations/ask.ts';
import { contexts } from './operations/contexts.ts';
import { deleteContext } from './operations/deleteContext.ts';
import { health } from './operations/health.ts';
import { input } from './operations/input.ts';
import { interrupt } from './operations/interrupt.ts';
import { resize } from './operations/resize.ts';
import { restart } from './operations/restart.ts';
import { usage } from './operations/usage.ts';
import { variables } from './operations/variables.ts';

export const AGENT_OPERATIONS = {
  ask,
  contexts,
  delete_context: deleteContext,
  health,
  input,
  interrupt,
  resize,
  restart,
  usage,
  variables,
};

export type OperationName = keyof typeof AGENT_OPERATIONS;

export type InputOf<Name extends OperationName> = Parameters<
  (typeof AGENT_OPERATIONS)[Name]['request']
>[0];

export type AnswerOf<Name extends OperationName> =
  (typeof AGENT_OPERATIONS)[Name] extends Operation<infer _, infer Answer> ? Answer : never;
