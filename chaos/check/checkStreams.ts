/** Checks that each output is complete, in order and not repeated. A gap must be marked, and caused by a fault. */
import { linesOf } from '../clients/cells.ts';
import type { StoredOutput, StreamItem, StreamRecord, WatchRecord } from '../history.ts';
import { obstacleToStoring } from './causes.ts';
import { hasEndedByItself } from './checkCommands.ts';
import type { ExecutionFacts, Facts } from './facts.ts';
import { doubled, lost, type Violation } from './violation.ts';

/** The only gap that can occur in these cells: the agent's buffer was full, because no gateway stored its content. */
const EXPECTED_GAP = 'replay_overflow';

export function checkStreams(facts: Facts): Violation[] {
  return [
    ...facts.executions.flatMap((execution) => checkStored(facts, execution)),
    ...facts.history.streams.flatMap((stream) => checkFollowed(facts, stream)),
    ...facts.history.watches.flatMap((watch) => checkWatched(facts, watch)),
  ];
}

function checkStored({ history }: Facts, execution: ExecutionFacts): Violation[] {
  const { id, outputs, requestedAt, ends } = execution;
  const name = `the stored output of ${id}`;
  const gaps = outputs.filter(({ kind }) => kind === 'gap');
  const period = [requestedAt, ends[0]?.at ?? Infinity] as const;
  return [
    ...checkOrder(name, outputs),
    ...checkContent(name, execution, outputs),
    ...gaps.flatMap(({ text }) =>
      text === EXPECTED_GAP && obstacleToStoring(history, period) !== null
        ? []
        : [lost(`${name} has a gap (${text}) that no fault explains`)],
    ),
  ];
}

function checkFollowed({ executionOf }: Facts, stream: StreamRecord): Violation[] {
  const { executionId, items, user, isEnded, refusal } = stream;
  const name = `what ${user} saw of ${executionId}`;
  if (refusal !== null) return [lost(`${name}: ${refusal}`)];
  if (!isEnded) return [lost(`${name} has no end`)];
  const execution = executionOf.get(executionId);
  if (!execution) return [lost(`${name} is of an execution that is not recorded`)];
  const order = checkOrder(name, items);
  if (order.length > 0) return order;
  const isStored = items.every((item, index) =>
    isSame({ ...item, executionId }, execution.outputs[index]),
  );
  if (isStored && items.length === execution.outputs.length) return [];
  return [lost(`${name} is not what is stored`)];
}

/**
 * From the first output that arrived, a watcher must get every output of all the user's executions, in the order in
 * which the executions were accepted.
 */
function checkWatched({ executions }: Facts, watch: WatchRecord): Violation[] {
  const { user, items, refusal, last } = watch;
  const name = `what ${user} watched`;
  if (refusal !== null) return [lost(`${name}: ${refusal}`)];
  const all = executions.filter((each) => each.user === user).flatMap(({ outputs }) => outputs);
  const place = ({ executionId, seq }: { executionId: string; seq: number }) =>
    all.findIndex((each) => each.executionId === executionId && each.seq === seq);
  const start = items[0] ? place(items[0]) : 0;
  const end = all.findIndex((each) => each.executionId === last && each.kind === 'finish');
  const wrong = items.findIndex((item, index) => !isSame(item, all[start + index]));
  if (wrong < 0) {
    return last === null || start + items.length > end
      ? []
      : [lost(`${name} ends before the end of ${last}`)];
  }
  const item = items[wrong];
  const what = `${name} has ${item?.executionId}:${item?.seq} out of order`;
  return item && place(item) < start + wrong && place(item) >= 0 ? [doubled(what)] : [lost(what)];
}

function isSame(item: StoredOutput, stored: StoredOutput | undefined): boolean {
  return (
    stored?.executionId === item.executionId &&
    stored.seq === item.seq &&
    stored.kind === item.kind &&
    stored.text === item.text &&
    stored.chars === item.chars
  );
}

function checkOrder(name: string, items: readonly StreamItem[]): Violation[] {
  const seqs = items.map(({ seq }) => seq);
  const again = seqs.find((seq, index) => seqs.indexOf(seq) !== index);
  if (again !== undefined) return [doubled(`${name} has seq ${again} twice`)];
  const wrong = seqs.find((seq, index) => seq !== index + 1);
  return wrong === undefined
    ? []
    : [lost(`${name} has seq ${wrong} out of order, or after a hole`)];
}

/** The lines must come in order from the first one, and completely if the execution ended well and there is no gap. */
function checkContent(
  name: string,
  execution: ExecutionFacts,
  outputs: readonly StreamItem[],
): Violation[] {
  const { cell, text, mark, commandMark, hasGap } = execution;
  if (cell !== 'stream' && cell !== 'loud' && cell !== 'shell-stream') return [];
  const { count, fillerChars } = linesOf(cell);
  const lines = Array.from({ length: count }, (_, index) => `${index}:\n`).join('');
  const end = text.indexOf('\n') + 1;
  const isComplete = hasEndedByItself(execution) && !hasGap;
  const body = text.slice(end);
  const hasMark = mark !== null || commandMark !== null;
  if (isComplete ? body !== lines : !lines.startsWith(body) && hasMark)
    return [lost(`${name} lacks lines, or has them out of order, and no gap says so`)];
  const chars = outputs.reduce((sum, item) => sum + (item.kind === 'stream' ? item.chars : 0), 0);
  if (isComplete && chars !== end + lines.length + count * fillerChars)
    return [
      lost(`${name} has ${chars} characters, which is not what was printed, and no gap says so`),
    ];
  return [];
}
