/**
 * Checks that each command ran at most once, that its recorded end is true, and that a server could be reached while it
 * ran. Each command adds its key to a list in the home, and prints how often the key is in the list. The last command
 * of a client prints the whole list.
 */
import { FETCHED, fetchKeyOf } from '../clients/cells.ts';
import { exitCodeOf, isCommandKind, keysOf } from '../clients/shellCells.ts';
import { endOfCommand } from './causes.ts';
import { doubled, type ExecutionFacts, type Facts, lost, type Violation } from './facts.ts';

/** Whether the execution ended by itself: nobody interrupted or killed it. Then all its output must be recorded. */
export function hasEndedByItself({ ends, cell }: ExecutionFacts): boolean {
  const [end] = ends;
  if (!isCommandKind(cell)) return end?.status === 'OK';
  const code = exitCodeOf(cell);
  const isRight = end?.exitCode === code && (end.signal ?? null) === null;
  return isRight && end?.status === (code === 0 ? 'OK' : 'ERROR');
}

export function checkCommands(facts: Facts): Violation[] {
  const commands = facts.executions.filter(({ isCommand }) => isCommand);
  return [
    ...commands.flatMap(checkMark),
    ...commands.flatMap(checkEnd),
    ...commands
      .filter(({ cell }) => cell === 'ledger')
      .flatMap((each) => checkList(commands, each)),
    ...commands.filter(({ cell }) => cell === 'server').flatMap((each) => checkServer(facts, each)),
  ];
}

function checkMark(command: ExecutionFacts): Violation[] {
  const { id, key, commandMark: mark } = command;
  if (mark === null)
    return hasEndedByItself(command) ? [lost(`command ${id} has lost its first line`)] : [];
  if (mark.count === null || mark.count === 1) return [];
  return mark.count > 1
    ? [doubled(`command ${key} ran ${mark.count} times`)]
    : [lost(`command ${key} is not in the list to which it was added`)];
}

/**
 * No command loses state, OK means exit code 0, and no command that ran ended as CommandNotStarted. `checkCauses.ts`
 * checks all other ends.
 */
function checkEnd({ key, cell, ends, commandMark }: ExecutionFacts): Violation[] {
  const [end] = ends;
  if (end?.stateLost) return [lost(`command ${key} was told that its state is lost`)];
  if (end?.status === 'OK' && (end.exitCode !== 0 || (isCommandKind(cell) && exitCodeOf(cell) > 0)))
    return [lost(`command ${key} ended as OK with exit code ${end.exitCode}`)];
  const isUnstarted = end?.errorName === 'CommandNotStarted';
  return isUnstarted && commandMark ? [lost(`command ${key} ran, and is told as not started`)] : [];
}

/** @param commands of all sessions, in the order in which they were accepted */
function checkList(commands: readonly ExecutionFacts[], list: ExecutionFacts): Violation[] {
  if (!hasEndedByItself(list)) return [];
  const keys = keysOf(list.text);
  const own = commands.filter(({ sessionId }) => sessionId === list.sessionId);
  const name = `the list of session ${list.sessionId}`;
  const known = new Set(own.map(({ key }) => key));
  const ran = own.filter(
    ({ commandMark, position }) => commandMark?.count === 1 && position < list.position,
  );
  return [
    ...keys
      .filter((key, index) => keys.indexOf(key) !== index)
      .map((key) => doubled(`command ${key} is twice in ${name}`)),
    ...keys
      .filter((key) => !known.has(key))
      .map((key) => lost(`command ${key} is in ${name}, and is not recorded`)),
    ...ran
      .filter(({ key }) => key !== null && !keys.includes(key))
      .map(({ key }) => lost(`command ${key} ran, and is not in ${name}`)),
  ];
}

/** A client interrupts its server only after a cell has tried to reach the server. So the cell must have succeeded. */
function checkServer({ executions, history }: Facts, server: ExecutionFacts): Violation[] {
  const fetch = executions.find(({ key }) => key === fetchKeyOf(server.key ?? ''));
  const [end] = server.ends;
  const hasTried = fetch?.ends[0]?.status === 'OK';
  if (!hasTried || end?.status !== 'INTERRUPTED' || fetch.text.endsWith(`\n${FETCHED}\n`))
    return [];
  const period = [server.requestedAt, end.at] as const;
  return endOfCommand(history, server.workerId, period) !== null
    ? []
    : [lost(`the server ${server.key} ran, and could not be reached`)];
}
