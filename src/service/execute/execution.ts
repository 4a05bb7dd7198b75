/** Finds executions and running commands. */
import type { Execution, FoundCommand, RunningCommand } from '../../domain/execution.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import { type Principal, sees } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/** The execution with this id. Null if the id is unknown, malformed, or that of something the principal does not see. */
export async function execution(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<Execution | null> {
  const parsed = parseId<ExecutionId>(id);
  const found = parsed === null ? null : await database.queries.execution(parsed);
  return found && sees(principal, found) ? found : null;
}

/** The same for callers that need the execution. @throws NOT_FOUND */
export async function requireExecution(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<Execution> {
  const found = await execution(deps, principal, id);
  if (!found) throw notFound('execution', id);
  return found;
}

// The commands of a session as processes: those that run, and the one with a process id or a label.

/** How long a command that has ended is still found by its process id or label. */
const FOUND_AFTER_END_MS = 30_000;
/** The greatest value of PostgreSQL's `integer`. Linux assigns no greater process id. */
const MAX_PID = 2_147_483_647;

interface CommandRequest {
  readonly userUuid: string;
  /** Exactly one of `pid` and `label` is given. */
  readonly pid?: number;
  readonly label?: string;
}

/** The commands that run in the user's open session, with their code, the oldest first. Works on any gateway. */
export async function commands(
  { database }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<readonly RunningCommand[]> {
  const session = await database.queries.lastSession(tenant, validateUserUuid(userUuid));
  return session?.closedAt === null ? await database.queries.runningCommands(session) : [];
}

/**
 * The command of the user's open session with this process id or label. It is found while it runs, and for {@link
 * FOUND_AFTER_END_MS} afterwards. If there are several, a running one comes first, then the latest. Null if there is
 * none, or its worker does not report process ids. Works on any gateway.
 */
export async function command(
  { database }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  { userUuid, pid, label }: CommandRequest,
): Promise<FoundCommand | null> {
  const { queries } = database;
  const session = await queries.lastSession(tenant, validateUserUuid(userUuid));
  const isPossible = pid === undefined || (Number.isInteger(pid) && pid > 0 && pid <= MAX_PID);
  if (session?.closedAt !== null || !isPossible) return null;
  const named = { pid: pid ?? null, label: label ?? null };
  return await queries.commandNamed(session.id, named, FOUND_AFTER_END_MS);
}
