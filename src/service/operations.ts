/**
 * All operations of Cellhouse, independent of protocols. An operation is a function of its dependencies, the principal
 * and its arguments. It has its own file, and one line here. It validates its input (BAD_USER_INPUT names the field and
 * the limit), and throws a DomainError for failures that a caller can act on.
 */
import { createToken } from './access/createToken.ts';
import { me } from './access/me.ts';
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
import { sendInput } from './execute/sendInput.ts';
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

export type Operation = (deps: ServiceDeps, principal: Principal, ...args: never[]) => unknown;

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
