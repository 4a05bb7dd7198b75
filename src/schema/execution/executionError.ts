/** `ExecutionError`: a Python exception. */
import type { PythonError } from '../../service/answer/assembledOutput.ts';
import { builder } from '../builder.ts';

export const ExecutionError = builder.objectRef<PythonError>('ExecutionError').implement({
  description: 'A Python exception that the code did not catch, or the death of the kernel.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'The class of the exception, or `KernelDied` or `OutOfMemory`.',
    }),
    value: t.exposeString('value', { description: 'The message of the exception.' }),
    traceback: t.stringList({
      description: 'The lines of the traceback, with ANSI colours, as IPython formats them.',
      resolve: ({ traceback }) => [...traceback],
    }),
  }),
});
