/**
 * Checks input: what is recorded is what was sent, once and without a hole; all that a client was told is recorded; what
 * code printed is what it was sent, from the first line on; and no secret input is left.
 */

import { contentOfPiece, type InputPiece } from '../../src/domain/input.ts';
import { INPUT_LINE, inputTextOf, readsInput } from '../clients/inputText.ts';
import type { InputRecord } from '../inputRecord.ts';
import { hasEndedByItself } from './checkCommands.ts';
import { type ExecutionFacts, type Facts, ofType } from './facts.ts';
import { groupBy } from './groupBy.ts';
import { doubled, lost, orphan, type Violation } from './violation.ts';

/** What the kernel itself prints if a cell is interrupted while it waits for input. */
const INTERRUPTED = /\nKeyboardInterrupt\n\n$/;

/** An execution with the input that is recorded for it. */
interface Reader extends ExecutionFacts {
  readonly pieces: readonly InputPiece[];
  /** What a client sends to it. */
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
      (told.get(each.id) ?? []).flatMap((input) => checkTold(each, input)),
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

/** What is recorded. Only a cell asks for passwords, so only its input may be secret. */
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

/** What a client was told. It never sends a piece before the ones before it are acknowledged. */
function checkTold(reader: Reader, input: InputRecord): Violation[] {
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

/** What code printed after its mark: each line that it read. */
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
