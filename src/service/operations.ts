/**
 * All operations of Cellhouse, independent of protocols. An operation is a function of its dependencies, the principal
 * and its arguments, in the file of its topic, such as `files/changeFile.ts`. It validates its input (BAD_USER_INPUT
 * names the field and the limit), and throws a DomainError for failures that a caller can act on.
 */
import { createToken, me, revokeToken, rotateToken, sessionKey, tokens } from './access/tokens.ts';
import { answer } from './answer/answer.ts';
import { context, contexts, createContext, deleteContext } from './contexts/contexts.ts';
import { askKernel, kernel, kernelInfo, kernels, restartKernel } from './contexts/kernels.ts';
import {
  createEnvironment,
  environment,
  environments,
  followBuild,
  removeEnvironment,
} from './environments/environments.ts';
import {
  awaitExecution,
  execute,
  executeBatch,
  executeFollowed,
  executeUntil,
  submit,
} from './execute/execute.ts';
import { command, commands, execution } from './execute/execution.ts';
import { interrupt } from './execute/interrupt.ts';
import { resizeTerminal, sendInput } from './execute/sendInput.ts';
import { readArchive, readContent, writeArchive } from './files/archives.ts';
import {
  deleteFile,
  makeDirectory,
  moveFile,
  writeContent,
  writeFile,
} from './files/changeFile.ts';
import { file, files, fileText } from './files/files.ts';
import {
  executionEvents,
  poolAt,
  sessionAt,
  sessionEvents,
  workerEvents,
} from './history/history.ts';
import {
  environmentPage,
  events,
  executions,
  sessions,
  tokenPage,
  worker,
  workers,
} from './lists/lists.ts';
import { changeNotebook, closeNotebook, notebooks, openNotebook } from './notebooks/notebooks.ts';
import { followContext } from './output/followContext.ts';
import { followExecution, followSession, outputPage } from './output/followOutput.ts';
import { followPoolStatus, metrics, poolStatus } from './pool/poolStatus.ts';
import type { Principal } from './principal.ts';
import { quotas, setQuota } from './quotas/quotaOperations.ts';
import type { ServiceDeps } from './serviceDeps.ts';
import {
  extendSession,
  openSession,
  prolongSession,
  release,
  session,
  sessionById,
  watchSession,
  workerUsage,
} from './sessions/sessions.ts';
import { createWatcher, followFolder, removeWatcher, watcherEvents } from './watchers/watchers.ts';

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
  sessionById,
  watchSession,
  openSession,
  extendSession,
  prolongSession,
  restartKernel,
  workerUsage,
  createContext,
  deleteContext,
  context,
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
  worker,
  events,
  sessionAt,
  poolAt,
  workerEvents,
  sessionEvents,
  executionEvents,
  poolStatus,
  followPoolStatus,
  metrics,
  answer,
  me,
  tokens,
  tokenPage,
  createToken,
  rotateToken,
  revokeToken,
  sessionKey,
  quotas,
  setQuota,
  environments,
  environmentPage,
  environment,
  createEnvironment,
  removeEnvironment,
  followBuild,
} as const satisfies Record<string, Operation>;
