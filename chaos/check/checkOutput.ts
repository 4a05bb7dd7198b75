/** Checks that each output is complete, in order and not repeated. A gap must be marked, and caused by a fault. */
import type { RecordedEvent } from '../../src/domain/events.ts';
import { contentOfPiece, type InputPiece } from '../../src/domain/execution.ts';
import { linesOf } from '../clients/cells.ts';
import { INPUT_LINE, inputTextOf, readsInput } from '../clients/inputs.ts';
import type {
  FaultName,
  FaultRecord,
  History,
  InputRecord,
  StoredOutput,
  StreamItem,
  StreamRecord,
  WatchRecord,
} from '../history.ts';
import { obstacleToStoring } from './causes.ts';
import { hasEndedByItself } from './checkCommands.ts';
import {
  doubled,
  type ExecutionFacts,
  type Facts,
  groupBy,
  lost,
  ofType,
  orphan,
  type Violation,
} from './facts.ts';

// The changes that a gateway must know of when it records an event.

/**
 * How long after a change a gateway may still ignore it. While notifications are lost, a gateway reads changes
 * once a second (docs/run/access.md). On a busy machine, that and the work on an earlier decision may take 2 s longer.
 */
const HEARS_WITHIN_MS = 3_000;
/** On a dead connection, a gateway waits 20 s for an answer (src/events/connection), and then uses another one. */
const HALF_OPEN_MS = 22_000;

/** Faults that keep a gateway from reading changes or from committing, and for how long after they are healed. */
const DEAFENING: Partial<Record<FaultName, number>> = {
  'gateway: SIGSTOP, SIGCONT': HEARS_WITHIN_MS,
  'PostgreSQL: kill -9': HEARS_WITHIN_MS,
  'PostgreSQL: restarted': HEARS_WITHIN_MS,
  'PostgreSQL: away for a minute': HEARS_WITHIN_MS,
  'wire: cut': HEARS_WITHIN_MS,
  'wire: refused': HEARS_WITHIN_MS,
  'wire: slow': HEARS_WITHIN_MS,
  'wire: half open': HALF_OPEN_MS,
};

/** Returns a time. The gateway that recorded this event knew everything that was recorded before that time. */
export function knownUntil(
  { faults, gatewayIds }: History,
  event: RecordedEvent | undefined,
): number {
  if (event === undefined) return Number.NEGATIVE_INFINITY;
  const gateway = gatewayIds.indexOf(event.metadata.gatewayId);
  const deaf = faults.flatMap((fault) => deafness(fault, gateway));
  const at = new Date(event.recordedAt).getTime();
  let since = at - HEARS_WITHIN_MS;
  // These periods may overlap, so each one found may lead to an earlier one.
  for (;;) {
    const earlier = deaf
      .filter(([from, to]) => from <= at && to >= since)
      .map(([from]) => from - HEARS_WITHIN_MS);
    const next = Math.min(since, ...earlier);
    if (next === since) return since;
    since = next;
  }
}

function deafness(
  { name, startedAt, healedAt, gateway }: FaultRecord,
  of: number,
): (readonly [number, number])[] {
  const after = DEAFENING[name];
  return after !== undefined && (gateway === null || gateway === of)
    ? [[startedAt, healedAt + after]]
    : [];
}

/** The only gap that clients' code can cause: the agent's buffer was full, because no gateway stored its content. */
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

/** The lines must be in order, from the first one. Without a gap, code that ended by itself must have printed all. */
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

// Checks input. It must be recorded as it was sent, once and without a hole. All acknowledged input must be recorded.
// Code must have printed what was sent to it, from the first line on. No secret input may be left.

/** What the kernel itself prints if a cell is interrupted while it waits for input. */
const INTERRUPTED = /\nKeyboardInterrupt\n\n$/;

/** An execution with the input that is recorded for it. */
interface Reader extends ExecutionFacts {
  readonly pieces: readonly InputPiece[];
  /** The whole input that its client has for it. */
  readonly sent: Buffer;
  readonly recordedBytes: number;
}

export function checkInput(facts: Facts): Violation[] {
  const { history, executions } = facts;
  const told = groupBy(history.inputs, ({ executionId }) => executionId);
  const readers = executions
    .filter(({ cell }) => readsInput(cell))
    .map((each) => readerOf(facts, each));
  const others = executions.filter(({ cell }) => !readsInput(cell));
  return [
    ...readers.flatMap(checkPieces),
    ...readers.flatMap((each) =>
      (told.get(each.id) ?? []).flatMap((input) => checkInputAnswer(each, input)),
    ),
    ...readers.flatMap(checkPrinted),
    ...others.flatMap((each) => checkOther(facts, each)),
    ...history.keptInputs.map((id) => orphan(`secret input of execution ${id} is kept`)),
  ];
}

function piecesOf({ streams }: Facts, id: string): InputPiece[] {
  return ofType(streams.get(id) ?? [], 'InputSent').map(({ event }) => event.data);
}

function readerOf(facts: Facts, execution: ExecutionFacts): Reader {
  const pieces = piecesOf(facts, execution.id);
  const recordedBytes = Math.max(0, ...pieces.map(({ offset, bytes }) => offset + bytes));
  const sent = Buffer.from(inputTextOf(execution.key ?? ''));
  return { ...execution, pieces, sent, recordedBytes };
}

/** Checks the recorded pieces. Only cells ask for passwords, so only their input may be secret. */
function checkPieces({ key, isCommand, pieces, sent }: Reader): Violation[] {
  const name = `the input of ${key}`;
  const violations: Violation[] = [];
  let next = 0;
  for (const [index, piece] of pieces.entries()) {
    const { offset, bytes, close } = piece;
    const content = contentOfPiece(piece);
    const right = sent.subarray(offset, offset + bytes);
    if (offset > next) violations.push(lost(`${name} has a hole from ${next} to ${offset}`));
    if (offset < next) violations.push(doubled(`${name} is recorded twice from ${offset} on`));
    if (content ? !content.equals(right) : isCommand || right.length < bytes)
      violations.push(lost(`${name} is recorded at ${offset} otherwise than it was sent`));
    next = offset + bytes;
    if (close && (next !== sent.length || index < pieces.length - 1))
      violations.push(lost(`${name} is recorded as ended at ${next}, it was not`));
  }
  return violations;
}

/** Checks the answers to a client. A client sends a piece only when all earlier pieces are acknowledged. */
function checkInputAnswer(reader: Reader, input: InputRecord): Violation[] {
  const { key, ends, recordedBytes, pieces } = reader;
  const { offset, base64, close, answer, refusal, endedAt } = input;
  const name = `the input of ${key} at ${offset}`;
  const end = offset + Buffer.byteLength(base64 ?? '', 'base64');
  const hasEnded = (ends[0]?.at ?? Infinity) <= endedAt;
  if (refusal !== null && !(refusal === 'INPUT_CLOSED' && hasEnded))
    return [lost(`${name} was refused with ${refusal}`)];
  if (answer === null) return [];
  if (answer.offset !== offset || answer.nextOffset !== end)
    return [lost(`${name} was answered with ${answer.offset} and ${answer.nextOffset}`)];
  const isRecorded = end <= recordedBytes && (!close || pieces.some((piece) => piece.close));
  return isRecorded ? [] : [lost(`${name} was acknowledged, and is not recorded`)];
}

/** Checks the lines that code printed after its mark. Code prints each line that it reads. */
function checkPrinted(reader: Reader): Violation[] {
  const { key, text, mark, commandMark, sent, recordedBytes, hasGap } = reader;
  if (mark === null && commandMark === null) return [];
  const body = text.slice(text.indexOf('\n') + 1).replace(INTERRUPTED, '');
  const whole = sent.toString();
  const isWhole = hasEndedByItself(reader) && !hasGap;
  const lines = body.split('\n').filter((line) => line !== '');
  if (new Set(lines).size < lines.length) return [doubled(`${key} has read a line twice`)];
  if (isWhole ? body !== whole : !whole.startsWith(body))
    return [lost(`${key} has read otherwise than was sent`)];
  return Buffer.byteLength(body) <= recordedBytes
    ? []
    : [lost(`${key} has read input that is not recorded`)];
}

function checkOther(facts: Facts, { id, key, text }: ExecutionFacts): Violation[] {
  const [line] = INPUT_LINE.exec(text) ?? [];
  return [
    ...(piecesOf(facts, id).length > 0 ? [lost(`${key} has input, and was sent none`)] : []),
    ...(line ? [lost(`${key} has printed another's input: ${line}`)] : []),
  ];
}
