/**
 * All operations of Cellhouse, independent of protocols. GraphQL and every other protocol call them. An operation is a
 * function of its dependencies, the principal and its arguments. It has its own file, and one line here. It validates
 * its input (BAD_USER_INPUT names the field and the limit), and throws a DomainError for failures that a caller can act
 * on.
 */
import { setMaxListeners } from 'node:events';
import { createInOrder } from '../async/inOrder.ts';
import { sharedRun } from '../async/sharedRun.ts';
import { DomainError } from '../domain/errors.ts';
import { createActorDeps } from './access/actorDeps.ts';
import { createToken } from './access/createToken.ts';
import { ended, NEVER, untilEnding } from './access/ending.ts';
import { me } from './access/me.ts';
import { PERMISSIONS, type Permission } from './access/permissions.ts';
import { insteadOf } from './access/permitted.ts';
import { revokeToken } from './access/revokeToken.ts';
import { rotateToken } from './access/rotateToken.ts';
import { sessionKey } from './access/sessionKey.ts';
import { tokens } from './access/tokens.ts';
import { answer } from './answer/answer.ts';
import { contexts } from './contexts/contexts.ts';
import { createContext } from './contexts/createContext.ts';
import { deleteContext } from './contexts/deleteContext.ts';
import { kernel } from './contexts/kernel.ts';
import { kernels } from './contexts/kernels.ts';
import { createEnvironment } from './environments/createEnvironment.ts';
import { environment, environments } from './environments/environments.ts';
import { followBuild } from './environments/followBuild.ts';
import { removeEnvironment } from './environments/removeEnvironment.ts';
import { command, commands } from './execute/commands.ts';
import { execute } from './execute/execute.ts';
import { executeBatch } from './execute/executeBatch.ts';
import { executeFollowed } from './execute/executeFollowed.ts';
import { awaitExecution, executeUntil } from './execute/executeUntil.ts';
import { execution } from './execute/execution.ts';
import { interrupt } from './execute/interrupt.ts';
import { resizeTerminal } from './execute/resizeTerminal.ts';
import { MAX_INPUT_CALLS, sendInput } from './execute/sendInput.ts';
import { submit } from './execute/submit.ts';
import { deleteFile } from './files/deleteFile.ts';
import { file } from './files/file.ts';
import { files } from './files/files.ts';
import { fileText } from './files/fileText.ts';
import { makeDirectory } from './files/makeDirectory.ts';
import { moveFile } from './files/moveFile.ts';
import { readArchive } from './files/readArchive.ts';
import { readContent } from './files/readContent.ts';
import { writeArchive } from './files/writeArchive.ts';
import { writeContent } from './files/writeContent.ts';
import { writeFile } from './files/writeFile.ts';
import { poolAt } from './history/poolAt.ts';
import { requireSealed } from './history/requireSealed.ts';
import { sessionAt } from './history/sessionAt.ts';
import { sessionEvents } from './history/sessionEvents.ts';
import { workerEvents } from './history/workerEvents.ts';
import { askKernel } from './kernel/askKernel.ts';
import { kernelInfo } from './kernel/kernelInfo.ts';
import { events } from './lists/events.ts';
import { executions } from './lists/executions.ts';
import { sessions } from './lists/sessions.ts';
import { workers } from './lists/workers.ts';
import { changeNotebook } from './notebooks/changeNotebook.ts';
import { closeNotebook } from './notebooks/closeNotebook.ts';
import { notebooks } from './notebooks/notebooks.ts';
import { openNotebook } from './notebooks/openNotebook.ts';
import { followContext } from './output/followContext.ts';
import { followExecution } from './output/followExecution.ts';
import { followSession } from './output/followSession.ts';
import { outputPage } from './output/outputPage.ts';
import { followPoolStatus } from './pool/followPoolStatus.ts';
import { metrics } from './pool/metrics.ts';
import { poolStatus } from './pool/poolStatus.ts';
import type { Principal } from './principal.ts';
import { hideTenantUse } from './quotas/hideTenantUse.ts';
import { quotas } from './quotas/listQuotas.ts';
import { setQuota } from './quotas/setQuota.ts';
import type { ServiceDeps } from './serviceDeps.ts';
import { extendSession, prolongSession } from './sessions/extendSession.ts';
import { openSession } from './sessions/openSession.ts';
import { release } from './sessions/release.ts';
import { restartKernel } from './sessions/restartKernel.ts';
import { session } from './sessions/session.ts';
import { watchSession } from './sessions/watchSession.ts';
import { workerUsage } from './sessions/workerUsage.ts';
import { createWatcher } from './watchers/createWatcher.ts';
import { followFolder } from './watchers/followFolder.ts';
import { removeWatcher } from './watchers/removeWatcher.ts';
import { watcherEvents } from './watchers/watcherEvents.ts';

type Operation = (deps: ServiceDeps, principal: Principal, ...args: never[]) => unknown;

/** Every operation, by name. */
export const OPERATIONS = {
  execute,
  executeUntil,
  executeFollowed,
  awaitExecution,
  executeBatch,
  submit,
  interrupt,
  sendInput,
  resizeTerminal,
  command,
  commands,
  askKernel,
  kernelInfo,
  execution,
  session,
  watchSession,
  openSession,
  extendSession,
  prolongSession,
  restartKernel,
  workerUsage,
  createContext,
  deleteContext,
  contexts,
  kernel,
  kernels,
  notebooks,
  openNotebook,
  changeNotebook,
  closeNotebook,
  release,
  followExecution,
  followContext,
  followSession,
  outputPage,
  file,
  files,
  fileText,
  writeFile,
  makeDirectory,
  moveFile,
  deleteFile,
  readContent,
  writeContent,
  readArchive,
  writeArchive,
  createWatcher,
  watcherEvents,
  removeWatcher,
  followFolder,
  executions,
  sessions,
  workers,
  events,
  sessionAt,
  poolAt,
  workerEvents,
  sessionEvents,
  poolStatus,
  followPoolStatus,
  metrics,
  answer,
  me,
  tokens,
  createToken,
  rotateToken,
  revokeToken,
  sessionKey,
  quotas,
  setQuota,
  environments,
  environment,
  createEnvironment,
  removeEnvironment,
  followBuild,
} as const satisfies Record<string, Operation>;

/** An operation without its first parameter, the dependencies. */
type Bound<Of> = Of extends (deps: never, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Each operation as a method whose first argument is the principal. */
export type Operations = {
  readonly [Name in keyof typeof OPERATIONS]: Bound<(typeof OPERATIONS)[Name]>;
};

export interface Service extends Operations {
  /**
   * For a gateway that stops: from now on the service waits for no execution's end. A waiting call that must not be
   * repeated fails with SHUTTING_DOWN, and its code keeps running (unlessStopping.ts).
   */
  stopWaiting(): void;
}

/** Creates the service from its dependencies. Each gateway has one. */
export function createService(
  deps: Omit<ServiceDeps, 'stopping' | 'inputCalls' | 'ending' | 'requireSealed'>,
): Service {
  const stopping = new AbortController();
  // One for each waiting call. Node would warn of a leak from the eleventh on.
  setMaxListeners(0, stopping.signal);
  const inputCalls = createInOrder(MAX_INPUT_CALLS);
  const all: ServiceDeps = {
    ...deps,
    inputCalls,
    requireSealed: sharedRun(() => requireSealed(deps.database)),
    stopping: stopping.signal,
    ending: NEVER,
  };
  const depsOf = createActorDeps(all);
  const bound = Object.entries(OPERATIONS).map(([name, operation]) => [
    name,
    bind(name as keyof typeof OPERATIONS, operation, all, depsOf),
  ]);
  return {
    ...(Object.fromEntries(bound) as Operations),
    stopWaiting: () => stopping.abort(),
  };
}

/** Every call of every protocol passes here, so what a principal may do is checked here, and refusals are counted. */
function bind(
  name: keyof typeof OPERATIONS,
  operation: Operation,
  { refusals }: ServiceDeps,
  depsOf: (principal: Principal) => ServiceDeps,
): Bound<Operation> {
  const permission: Permission = PERMISSIONS[name];
  return (principal, ...args) => {
    const count = (error: unknown) => {
      if (error instanceof DomainError) refusals.add(principal.tokenId, name, error.code);
    };
    try {
      if (principal.ending.isOver) throw ended();
      const instead = insteadOf(name, permission, principal, args);
      if (instead !== null) return Promise.resolve(instead.answer);
      const result = operation(depsOf(principal), principal, ...args);
      if (!(result instanceof Promise)) return result;
      const answer = hideTenantUse(principal, untilEnding(principal.ending, result));
      answer.catch(count);
      return answer;
    } catch (error: unknown) {
      count(error);
      throw error;
    }
  };
}
