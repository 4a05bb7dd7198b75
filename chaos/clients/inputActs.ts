/** What a user does with code that reads. `check/checkInput.ts` judges what comes of it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { InputRecord } from '../history.ts';
import type { Random } from '../random.ts';
import type { Act, Acting } from './acting.ts';
import { inputTextOf, type Piece } from './inputs.ts';

/** This share of pieces ends anywhere, even within a letter. The others end with a line. */
const SPLIT_SHARE = 0.5;
const MAX_PIECE_BYTES = 60;
/** This share of pieces is sent twice at the same time, once only a part of it. */
const TWICE_SHARE = 0.3;
/** How often the end of the input is sent in the call that brings the last bytes. */
const CLOSE_WITH_LAST_SHARE = 0.5;
const INTERRUPT_SHARE = 0.2;
/** The longest pause between two pieces, so that some faults come between them. */
const MAX_PAUSE_MS = 150;
const NEWLINE = 10;

type Kind = 'input' | 'shell-input';

export const inputActs: readonly Act[] = [
  { weight: 5, act: (user) => feed(user, 'input') },
  { weight: 5, act: (user) => feed(user, 'shell-input') },
  {
    weight: 6,
    act: (user) => Promise.all([feed(user, 'input'), feed(user, 'shell-input')]),
  },
];

/** Submits code that reads, and follows it while it gets its input. */
async function feed(user: Acting, kind: Kind): Promise<void> {
  const cell = user.cell(kind);
  const { answer } = await user.calls.submit(user.name, cell);
  if (!answer?.id) return;
  await Promise.all([user.follow(answer.id), sendAll(user, answer.id, cell.key)]);
}

/** Sends each piece when those before it are acknowledged. Ends early if the execution does, or by an interrupt. */
async function sendAll(user: Acting, executionId: string, key: string): Promise<void> {
  const { name, calls, random } = user;
  const pieces = piecesOf(Buffer.from(inputTextOf(key)), random);
  const interruptAt =
    random.next() < INTERRUPT_SHARE ? random.between(0, pieces.length - 1) : pieces.length;
  for (const piece of pieces.slice(0, interruptAt)) {
    const records = await sendPiece(user, executionId, piece);
    if (records.some(({ refusal }) => refusal !== null)) return;
    if (records.some(({ answer }) => answer === null)) break;
    if (piece.close) return;
    await delay(random.between(0, MAX_PAUSE_MS));
  }
  // Without all of its input, it would wait until its time is over.
  await calls.interrupt(name, executionId);
}

async function sendPiece(
  { name, inputs, random }: Acting,
  executionId: string,
  piece: Piece,
): Promise<InputRecord[]> {
  const bytes = Buffer.from(piece.base64 ?? '', 'base64');
  const isTwice = bytes.length > 1 && random.next() < TWICE_SHARE;
  const part = bytes.subarray(0, random.between(1, Math.max(1, bytes.length - 1)));
  const again: Piece = { ...piece, base64: part.toString('base64'), close: false };
  const sent = [piece, ...(isTwice ? [again] : [])];
  return await Promise.all(sent.map((each) => inputs.send(name, executionId, each)));
}

/** The input in pieces, in order. The last one ends it. */
function piecesOf(bytes: Buffer, random: Random): Piece[] {
  const pieces: Piece[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const limit = Math.min(bytes.length, offset + MAX_PIECE_BYTES);
    const isSplit = random.next() < SPLIT_SHARE;
    const end = isSplit ? random.between(offset + 1, limit) : bytes.indexOf(NEWLINE, offset) + 1;
    pieces.push({ offset, base64: bytes.subarray(offset, end).toString('base64'), close: false });
    offset = end;
  }
  const last = random.next() < CLOSE_WITH_LAST_SHARE ? pieces.pop() : undefined;
  pieces.push({ ...(last ?? { offset, base64: null }), close: true });
  return pieces;
}
