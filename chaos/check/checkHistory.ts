/** Judges a run by its history. Pure: the same history gives the same violations. */
import type { History } from '../history.ts';
import { checkAccess, checkDoors, checkEnvironments } from './checkAccess.ts';
import { checkCauses } from './checkCauses.ts';
import { checkCommands } from './checkCommands.ts';
import { checkContexts, checkCounters, checkExecutions } from './checkExecutions.ts';
import { checkFiles } from './checkFiles.ts';
import { checkInput, checkStreams } from './checkOutput.ts';
import { checkQuotas } from './checkQuotas.ts';
import { checkChain, checkRest, checkStore } from './checkStore.ts';
import { factsOf, type Violation } from './facts.ts';

export function checkHistory(history: History): Violation[] {
  const facts = factsOf(history);
  return [
    ...checkStore(facts),
    ...checkExecutions(facts),
    ...checkDoors(facts),
    ...checkCounters(facts),
    ...checkCommands(facts),
    ...checkInput(facts),
    ...checkContexts(facts),
    ...checkStreams(facts),
    ...checkCauses(facts),
    ...checkFiles(facts),
    ...checkEnvironments(history),
    ...checkAccess(history),
    ...checkChain(history),
    ...checkQuotas(facts),
    ...checkRest(history),
  ];
}
