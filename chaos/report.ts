/** The report of a run: a table by kind of fault, single lines about what was done, and the line with the numbers. */
import { endOfKernel, endOfWorker } from './check/causes.ts';
import { replayed } from './check/checkQuotas.ts';
import { factsOf, groupBy, ofType, type Violation } from './check/facts.ts';
import { readsInput } from './clients/inputs.ts';
import type { CallRecord, FaultRecord, History, TokenTry } from './history.ts';

/** Cells that a healthy service answers within milliseconds. The other kinds run longer by themselves. */
const QUICK_CELLS = ['counter', 'batch', 'audit'];
/** Failed attempts up to this long after the healing are attributed to the fault. */
const AFTERMATH_MS = 2_000;

/** The lines of the table, with the slowest recovery first. */
export function faultTable(history: History): string[] {
  const rows = [...groupBy(history.faults, ({ name }) => name)].map(([name, faults]) => {
    const worst = Math.max(...faults.map((fault) => recoveryMs(history, fault)));
    const seconds = Number.isFinite(worst) ? (worst / 1_000).toFixed(1) : '-';
    return [name, String(faults.length), effectOf(history, faults), seconds];
  });
  const header = ['fault', 'count', 'effect', 'worst recovery, s'];
  const all = [header, ...rows.sort((a, b) => Number(b[3]) - Number(a[3]))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(header), rule, ...all.slice(1).map(line)];
}

/** What users have run, in one line: a run in which they did little proves little. */
export function workDone(history: History): string {
  const { executions, contexts, sessions } = factsOf(history);
  const commands = executions.filter(({ isCommand }) => isCommand).length;
  const started = contexts.length;
  const fed = executions.filter(({ cell }) => readsInput(cell)).length;
  const input = `${fed} of them with ${history.inputs.length} calls of sendInput`;
  return `${executions.length - commands} cells and ${commands} commands, ${input}, in ${sessions.length} sessions with ${started} more contexts`;
}

/** How the users of doors fared, in one line. */
export function doorsUsed(history: History): string {
  const { executions } = factsOf(history);
  const keys = new Set(executions.map(({ key }) => key));
  const ran = history.calls.filter(({ wire, cell }) => wire !== 'graphql' && cell !== null);
  const parts = [...groupBy(ran, ({ wire }) => wire)].map(([wire, calls]) => {
    const unanswered = calls.filter(({ answer }) => answer === null);
    const recorded = unanswered.filter(({ key }) => keys.has(key)).length;
    const answered = calls.length - unanswered.length;
    return `over ${wire}, ${answered} calls with code answered, and ${unanswered.length} not, of which ${recorded} are recorded`;
  });
  return parts.join('; ');
}

/** How often quotas refused attempts or were changed, in one line: a run in which that is rare proves little. */
export function quotasHit(history: History): string {
  const { calls, events } = history;
  const count = calls.reduce((sum, { failures }) => sum + (failures.QUOTA_EXCEEDED ?? 0), 0);
  const changes = [...ofType(events, 'QuotaSet'), ...ofType(events, 'QuotaReset')].length;
  const { added, unsure } = replayed(history);
  return `${count} attempts refused by a quota; ${changes} changes of quotas; of ${added} sessions and executions, ${unsure} came when their gateway may not have heard of a change`;
}

/** What the audit has compared, in one line. */
export function eventsVerified({ rest: { audit } }: History): string {
  const { events, outsideHeads } = audit.down;
  return `${events} events verified, with ${outsideHeads} heads from outside of the database`;
}

/** How revoked tokens fared, in one line. */
export function accessTried({ faults, tokenTries }: History): string {
  const revoked = faults.filter(({ name }) => name === 'token: revoked').length;
  const count = (wanted: TokenTry['outcome']) =>
    tokenTries.filter(({ outcome }) => outcome === wanted).length;
  return `${revoked} tokens revoked; tried a second later: ${count('refused')} refused, ${count('let in')} let in, ${count('no answer')} without an answer`;
}

/** The last line of a run. */
export function summary(history: History, violations: readonly Violation[]): string {
  const count = (type: Violation['type']) => violations.filter((each) => each.type === type).length;
  return `${history.faults.length} faults, ${count('lost')} lost, ${count('doubled')} doubled, ${count('orphan')} orphans`;
}

/**
 * The time from the healing of a fault until every affected user has had an answer again. It is an upper bound, because
 * overlapping faults may have delayed the answers too.
 */
function recoveryMs({ calls, events }: History, { healedAt, workerId, user }: FaultRecord): number {
  const owner =
    user ??
    ofType(events, 'SessionOpened').find(({ event }) => event.data.workerId === workerId)?.event
      .data.userUuid;
  // The worker was idle, so no user was affected.
  if (workerId !== null && owner === undefined) return 0;
  const quick = calls.filter(
    (call) =>
      isQuick(call) && call.endedAt >= healedAt && (owner === undefined || call.user === owner),
  );
  const firsts = [...groupBy(quick, (call) => call.user).values()].map((all) =>
    Math.min(...all.map(({ endedAt }) => endedAt)),
  );
  return Math.max(0, ...firsts.map((at) => at - healedAt));
}

function isQuick({ cell, answer, operation }: CallRecord): boolean {
  return operation === 'execute' && answer !== null && QUICK_CELLS.includes(cell ?? '');
}

function effectOf(history: History, faults: readonly FaultRecord[]): string {
  const { workers, sessions } = factsOf(history);
  const has = (fault: FaultRecord | null) => fault !== null && faults.includes(fault);
  const losses = workers.flatMap(({ id, losses: [loss] }) => (loss ? [{ id, at: loss.at }] : []));
  const lostWorkers = losses.filter(({ id, at }) => has(endOfWorker(history, id, at)));
  const lostIds = lostWorkers.map(({ id }) => id);
  const ended = sessions.filter(({ workerId }) => lostIds.includes(workerId)).length;
  const restarts = ofType(history.events, 'KernelRestarted').filter(({ streamId, event }) => {
    const workerId = sessions.find(({ id }) => id === streamId)?.workerId ?? '';
    const at = Date.parse(event.data.at);
    return event.data.reason !== 'user' && has(endOfKernel(history, workerId, [at, at]));
  }).length;
  const isNear = (call: CallRecord) =>
    faults.some(
      (fault) => fault.startedAt <= call.endedAt && fault.healedAt + AFTERMATH_MS >= call.startedAt,
    );
  const isWide = faults.every(({ workerId, user }) => workerId === null && user === null);
  const again = isWide
    ? history.calls
        .filter(isNear)
        .reduce((sum, { failures }) => sum + Object.values(failures).reduce((a, b) => a + b, 0), 0)
    : 0;
  const parts = [
    ...(lostIds.length > 0 ? [`${lostIds.length} workers lost`, `${ended} sessions ended`] : []),
    ...(restarts > 0 ? [`${restarts} kernels replaced`] : []),
    ...(again > 0 ? [`${again} attempts repeated`] : []),
  ];
  return parts.join(', ') || 'none seen';
}
