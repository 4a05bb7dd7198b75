import type { RunningCommand } from '../../../../domain/commands.ts';
import type { Unary } from '../rpc/method.ts';
import { lineOf } from './commandLine.ts';

/** The processes that run, from whatever door they were started. */
export const list: Unary = {
  kind: 'unary',
  handle: async ({ call: { service }, userUuid }) => {
    const running = await service.commands(userUuid);
    return { processes: running.filter(({ execution }) => execution.pid !== null).map(infoOf) };
  },
};

function infoOf({ execution: { pid, options }, code }: RunningCommand): object {
  const { label, workingDirectory, environmentVariableNames = [] } = options ?? {};
  // No answer contains the values of variables.
  const envs = Object.fromEntries(environmentVariableNames.map((name) => [name, '']));
  return {
    pid,
    ...(label !== undefined && { tag: label }),
    config: {
      ...lineOf(code),
      envs,
      ...(workingDirectory !== undefined && { cwd: workingDirectory }),
    },
  };
}
