/** `ExecutionError`: a Python exception. */
import type { PythonError } from '../../service/answer/assembledOutput.ts';
import { builder } from '../builder.ts';

export const ExecutionError = builder.objectRef<PythonError>('ExecutionError').implement({
  description:
    'A Python exception that the code did not catch, the death of the kernel, or how a command failed.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description:
        'The class of the exception, or `KernelDied`, `OutOfMemory` or `CellNotStarted` (its `workingDirectory` cannot be entered; the code has not run). Of a command: `CommandFailed`, `CommandNotStarted` (the code has not run), `OutOfMemory` or `CommandLost` (nobody knows how it ended).',
    }),
    value: t.exposeString('value', {
      description:
        'The message of the exception. Of CommandFailed: such as `exit code 3` or `signal SIGKILL`.',
    }),
    traceback: t.stringList({
      description: 'The lines of the traceback, with ANSI colours, as IPython formats them.',
      resolve: ({ traceback }) => [...traceback],
    }),
  }),
});
