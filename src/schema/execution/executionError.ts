/** A Python exception, as data. */
import type { PythonError } from '../../service/answer/assembledOutput.ts';
import { builder } from '../builder.ts';

export const ExecutionError = builder.objectRef<PythonError>('ExecutionError').implement({
  description: 'The exception that ended a piece of code.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: "The exception's class, or `KernelDied` or `OutOfMemory`.",
    }),
    value: t.exposeString('value', { description: 'Its message.' }),
    traceback: t.stringList({
      description: "The traceback's lines, with ANSI colours, as IPython makes them.",
      resolve: ({ traceback }) => [...traceback],
    }),
  }),
});
