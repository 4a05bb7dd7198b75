/**
 * Which role may call which operation. {@link createService} consults this table at every call of every protocol, and
 * the compiler refuses an operation without a row.
 */

import { DomainError } from '../../domain/errors.ts';
import type { Role } from '../../domain/token.ts';
import type { OPERATIONS } from '../operations.ts';
import { actsFor, type Principal } from '../principal.ts';
import { notFound } from '../refusal.ts';

type Arguments<Of> = Of extends (deps: never, principal: never, ...args: infer Args) => unknown
  ? Args
  : never;

export interface Permission<Args extends readonly unknown[] = readonly never[]> {
  readonly roles: readonly Role[];
  /**
   * The user that the arguments name. For a user that the principal does not act for, the answer is `others`. Absent:
   * the arguments name no user, though perhaps an id. The operation itself then shows only what the principal sees.
   */
  readonly user?: (...args: Args) => string;
  /**
   * The answer for a user that the principal does not act for: the same as for a user that does not exist. Absent:
   * NOT_FOUND.
   */
  readonly others?: null | readonly [];
}

type Permissions = {
  readonly [Name in keyof typeof OPERATIONS]: Permission<Arguments<(typeof OPERATIONS)[Name]>>;
};

/** The roles that may run code and change files. */
const CALLERS = ['OPERATOR', 'TENANT', 'USER'] as const;
/** The roles that may know that something happened. */
const READERS = [...CALLERS, 'AUDITOR'] as const;
/** The roles for operations that show all users of a tenant. */
const WHOLE_TENANT = ['OPERATOR', 'TENANT', 'AUDITOR'] as const;
/** The role for operations that show or change something of all tenants. */
const OPERATORS = ['OPERATOR'] as const;

const named = { user: (userUuid: string) => userUuid };
const asked = { user: ({ userUuid }: { readonly userUuid: string }) => userUuid };

export const PERMISSIONS: Permissions = {
  execute: { roles: CALLERS, ...asked },
  executeUntil: { roles: CALLERS, ...asked },
  executeFollowed: { roles: CALLERS, ...asked },
  awaitExecution: { roles: CALLERS },
  executeBatch: { roles: CALLERS, ...asked },
  submit: { roles: CALLERS, ...asked },
  interrupt: { roles: CALLERS },
  sendInput: { roles: CALLERS },
  resizeTerminal: { roles: CALLERS },
  commands: { roles: CALLERS, ...named, others: [] },
  command: { roles: CALLERS, ...asked, others: null },
  askKernel: { roles: CALLERS, ...asked },
  kernelInfo: { roles: CALLERS, ...named },
  execution: { roles: READERS },
  session: { roles: READERS, ...named, others: null },
  sessionById: { roles: READERS },
  watchSession: { roles: CALLERS, ...named },
  openSession: { roles: CALLERS, ...asked },
  extendSession: { roles: CALLERS, ...named },
  prolongSession: { roles: CALLERS, ...named },
  restartKernel: { roles: CALLERS, ...named },
  workerUsage: { roles: CALLERS, ...named, others: null },
  createContext: { roles: CALLERS, ...asked },
  deleteContext: { roles: CALLERS, ...named },
  context: { roles: READERS },
  contexts: { roles: READERS, ...named, others: [] },
  kernel: { roles: READERS },
  kernels: { roles: READERS },
  notebooks: { roles: READERS },
  openNotebook: { roles: CALLERS },
  changeNotebook: { roles: CALLERS },
  closeNotebook: { roles: CALLERS },
  release: { roles: CALLERS, ...named },
  followExecution: { roles: CALLERS },
  followContext: { roles: CALLERS },
  followSession: { roles: CALLERS, ...named },
  outputPage: { roles: CALLERS },
  file: { roles: CALLERS, ...named },
  files: { roles: CALLERS, ...asked },
  fileText: { roles: CALLERS, ...asked },
  writeFile: { roles: CALLERS, ...asked },
  makeDirectory: { roles: CALLERS, ...named },
  moveFile: { roles: CALLERS, ...asked },
  deleteFile: { roles: CALLERS, ...named },
  readContent: { roles: CALLERS, ...asked },
  writeContent: { roles: CALLERS, ...asked },
  readArchive: { roles: CALLERS, ...asked },
  writeArchive: { roles: CALLERS, ...asked },
  createWatcher: { roles: CALLERS, ...asked },
  watcherEvents: { roles: CALLERS, ...asked },
  removeWatcher: { roles: CALLERS, ...asked },
  followFolder: { roles: CALLERS, ...asked },
  executions: { roles: READERS },
  sessions: { roles: READERS },
  workers: { roles: WHOLE_TENANT },
  worker: { roles: WHOLE_TENANT },
  events: { roles: WHOLE_TENANT },
  sessionAt: { roles: READERS, ...named, others: null },
  poolAt: { roles: OPERATORS },
  workerEvents: { roles: WHOLE_TENANT },
  sessionEvents: { roles: READERS },
  executionEvents: { roles: READERS },
  poolStatus: { roles: READERS },
  followPoolStatus: { roles: READERS },
  metrics: { roles: ['OPERATOR', 'TENANT'] },
  answer: { roles: READERS },
  me: { roles: READERS },
  tokens: { roles: OPERATORS },
  tokenPage: { roles: OPERATORS },
  createToken: { roles: OPERATORS },
  rotateToken: { roles: OPERATORS },
  revokeToken: { roles: OPERATORS },
  sessionKey: { roles: CALLERS, ...named },
  quotas: { roles: READERS },
  setQuota: { roles: OPERATORS },
  // Every caller that opens a session may choose an environment. Only operators see its specification.
  environments: { roles: READERS },
  environmentPage: { roles: READERS },
  environment: { roles: READERS },
  createEnvironment: { roles: OPERATORS },
  removeEnvironment: { roles: OPERATORS },
  followBuild: { roles: OPERATORS },
};

/** The answer of a call that does not reach the operation. */
interface Instead {
  readonly answer: null | readonly [];
}

/**
 * Null if the principal may make this call. Otherwise the answer that it gets instead.
 * @throws DomainError FORBIDDEN if the role may not call the operation; NOT_FOUND for a user that the principal does
 * not act for
 */
export function insteadOf(
  name: string,
  { roles, user, others }: Permission,
  principal: Principal,
  args: readonly never[],
): Instead | null {
  if (!roles.includes(principal.role)) {
    throw new DomainError(
      'FORBIDDEN',
      `A token with the role ${principal.role} may not call ${name}. Use one of another role.`,
    );
  }
  if (user === undefined) return null;
  const userUuid = user(...args);
  if (actsFor(principal, userUuid)) return null;
  if (others === undefined) throw notFound('user', userUuid);
  return { answer: others };
}
