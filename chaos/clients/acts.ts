/** All actions of users, by theme. `ACTS`, at the end, says how often each is chosen. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CallRecord, Cell, CellKind, InputRecord } from '../history.ts';
import type { Random } from '../random.ts';
import type { Calls } from './calls.ts';
import { fetchKeyOf, makeCell } from './cells.ts';
import type { Files } from './files.ts';
import { type Inputs, inputTextOf, type Piece } from './inputs.ts';

// The parts that the actions of a user need.

export interface Acting {
  readonly name: string;
  readonly calls: Calls;
  readonly files: Files;
  readonly inputs: Inputs;
  readonly random: Random;
  /** A new cell or command with a key of its own. @param port see `makeCell` */
  readonly cell: (kind: CellKind, port?: number) => Cell;
  /** Follows an execution to its end. */
  readonly follow: (executionId: string) => Promise<void>;
  /** The contexts that the user believes to be open, by name. */
  readonly contexts: Map<string, string>;
}

/** The parts that the actions of a door's user need. */
export interface ActingAtDoor<DoorCalls> extends Pick<Acting, 'name' | 'random' | 'cell'> {
  readonly calls: DoorCalls;
}

export interface Act<User = Acting> {
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /** One action. A user does one after the other. */
  readonly act: (user: User) => Promise<unknown>;
}

/** Code that is to be interrupted runs at most about this long before the interrupt is sent. */
const MAX_RUN_BEFORE_INTERRUPT_MS = 600;

/** Submits endless code and interrupts it. An interrupt that arrives before the code has started cancels it. */
export async function submitAndInterrupt(
  { name, calls, random, cell }: ActingAtDoor<Pick<Calls, 'submit' | 'interrupt'>>,
  kind: CellKind,
  contextId?: string,
): Promise<void> {
  const { answer } = await calls.submit(name, cell(kind), contextId);
  if (!answer?.id) return;
  await delay(random.between(0, MAX_RUN_BEFORE_INTERRUPT_MS));
  await calls.interrupt(name, answer.id);
}

async function submitAndFollow(
  { name, calls, cell, follow }: Acting,
  kind: CellKind,
  contextId?: string,
): Promise<void> {
  const { answer } = await calls.submit(name, cell(kind), contextId);
  if (answer?.id) await follow(answer.id);
}

// What a user does with contexts. `check/checkExecutions.ts` checks the outcome.

/** Few, so that a context is often used again. */
const NAMES: readonly string[] = ['a', 'b'];
/** How often the user calls createContext for a context that should be open. The call then returns that context. */
const AGAIN_SHARE = 0.5;

type InContext = (user: Acting, contextId: string) => Promise<CallRecord | undefined>;

const IN_CONTEXT: readonly { readonly weight: number; readonly act: InContext }[] = [
  {
    weight: 10,
    act: ({ name, calls, cell }, contextId) => calls.execute(name, cell('counter'), contextId),
  },
  {
    weight: 3,
    act: async (user, contextId) => void (await submitAndFollow(user, 'stream', contextId)),
  },
  {
    weight: 2,
    act: async (user, contextId) => void (await submitAndInterrupt(user, 'endless', contextId)),
  },
  {
    weight: 2,
    act: ({ name, calls, cell }, contextId) => calls.execute(name, cell('runaway'), contextId),
  },
  { weight: 2, act: ({ name, calls }, contextId) => calls.restartKernel(name, contextId) },
];

const contextActs: readonly Act[] = [
  { weight: 20, act: useContext },
  { weight: 8, act: atTheSameTime },
  { weight: 4, act: deleteOne },
];

async function useContext(user: Acting): Promise<void> {
  const found = await contextOf(user);
  if (found) noteEnd(user, await user.random.pickWeighted(IN_CONTEXT)?.act(user, found));
}

/** Two cells in a context, two in the default one, and a command: all at the same time. */
async function atTheSameTime(user: Acting): Promise<void> {
  const { name, calls, cell } = user;
  const contexts = [await contextOf(user), undefined];
  const ran = await Promise.all([
    ...contexts.flatMap((contextId) =>
      (['counter', 'stream'] as const).map((kind) => calls.execute(name, cell(kind), contextId)),
    ),
    calls.execute(name, cell('shell-stream')),
  ]);
  for (const call of ran) noteEnd(user, call);
}

async function deleteOne({ name, calls, random, contexts }: Acting): Promise<void> {
  const found = random.pick([...contexts]);
  if (!found) return;
  const [contextName, id] = found;
  const { answer } = await calls.deleteContext(name, id);
  if (answer) contexts.delete(contextName);
}

/** An open context, as far as the user knows. Undefined: none could be created. */
async function contextOf({ name, calls, random, contexts }: Acting): Promise<string | undefined> {
  const picked = random.pick(NAMES) ?? '';
  const known = contexts.get(picked);
  if (known !== undefined && random.next() >= AGAIN_SHARE) return known;
  const { answer } = await calls.createContext(name, picked);
  if (answer?.id) contexts.set(picked, answer.id);
  return answer?.id ?? undefined;
}

/** Forgets a context that is no longer open, because its session has ended. */
function noteEnd({ contexts }: Acting, call: CallRecord | undefined): void {
  if (call?.refusal !== 'NOT_FOUND') return;
  for (const [name, id] of contexts) if (id === call.contextId) contexts.delete(name);
}

// What a user does with commands. `check/checkCommands.ts` checks the outcome.

/** The range from which each server's port is chosen at random. */
const PORTS = { first: 20_000, count: 10_000 };

const commandActs: readonly Act[] = [
  { weight: 12, act: ({ name, calls, cell }) => calls.execute(name, cell('shell')) },
  { weight: 8, act: (user) => submitAndFollow(user, 'shell-stream') },
  { weight: 8, act: commandsWithCells },
  { weight: 6, act: (user) => submitAndInterrupt(user, 'shell-endless') },
  { weight: 6, act: reachServer },
];

/** Runs two commands and a cell at the same time. Their outputs must not mix. */
async function commandsWithCells({ name, calls, cell }: Acting): Promise<void> {
  await Promise.all([
    calls.execute(name, cell('shell-stream')),
    calls.execute(name, cell('shell-stream')),
    calls.execute(name, cell('stream')),
  ]);
}

/** Submits a server, reaches it from a cell, and interrupts it. */
async function reachServer({ name, calls, random, cell }: Acting): Promise<void> {
  const port = random.between(PORTS.first, PORTS.first + PORTS.count);
  const server = cell('server', port);
  const { answer } = await calls.submit(name, server);
  if (!answer?.id) return;
  await calls.execute(name, makeCell('fetch', fetchKeyOf(server.key), port));
  await calls.interrupt(name, answer.id);
}

// What a user does with code that reads input. `check/checkOutput.ts` checks the outcome.

/** This share of pieces ends anywhere, even within a letter. All other pieces end with a line. */
const SPLIT_SHARE = 0.5;
const MAX_PIECE_BYTES = 60;
/** This share of pieces is sent twice at the same time: once as a whole, once only its first part. */
const PIECE_TWICE_SHARE = 0.3;
/** How often one call sends both the last bytes and the end of the input. */
const CLOSE_WITH_LAST_SHARE = 0.5;
const INTERRUPT_SHARE = 0.2;
/** The longest pause between two pieces, so that some faults come between them. */
const MAX_PAUSE_MS = 150;
const NEWLINE = 10;

type Kind = 'input' | 'shell-input';

const inputActs: readonly Act[] = [
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

/** Sends each piece when all earlier pieces are acknowledged. Ends early after a refusal, or with an interrupt. */
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
  // Without the rest of its input, the code would wait until its time limit.
  await calls.interrupt(name, executionId);
}

async function sendPiece(
  { name, inputs, random }: Acting,
  executionId: string,
  piece: Piece,
): Promise<InputRecord[]> {
  const bytes = Buffer.from(piece.base64 ?? '', 'base64');
  const isTwice = bytes.length > 1 && random.next() < PIECE_TWICE_SHARE;
  const part = bytes.subarray(0, random.between(1, Math.max(1, bytes.length - 1)));
  const again: Piece = { ...piece, base64: part.toString('base64'), close: false };
  const sent = [piece, ...(isTwice ? [again] : [])];
  return await Promise.all(sent.map((each) => inputs.send(name, executionId, each)));
}

/** Cuts the input into pieces, in order. The last piece also ends the input. */
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

// What a user does with cells and files, and the list of all actions.

const FILES_DURING_CODE = 4;
const MIN_BATCH = 3;
const MAX_BATCH = 6;
/** This share of a batch's cells is sent twice at the same time. Both calls must get the same execution. */
const TWICE_SHARE = 0.4;

export const ACTS: readonly Act[] = [
  { weight: 40, act: ({ name, calls, cell }) => calls.execute(name, cell('counter')) },
  { weight: 20, act: ({ name, files }) => files.act(name) },
  { weight: 10, act: filesDuringCode },
  { weight: 16, act: (user) => runBatch(user, () => 'batch') },
  { weight: 14, act: (user) => submitAndFollow(user, 'stream') },
  { weight: 5, act: (user) => submitAndFollow(user, 'loud') },
  { weight: 8, act: (user) => submitAndInterrupt(user, 'endless') },
  { weight: 5, act: ({ name, calls, cell }) => calls.execute(name, cell('runaway')) },
  { weight: 1, act: ({ name, calls, cell }) => calls.execute(name, cell('deaf')) },
  { weight: 4, act: ({ name, calls }) => calls.release(name) },
  { weight: 4, act: ({ name, calls }) => calls.restartKernel(name) },
  {
    weight: 6,
    act: (user) => runBatch(user, () => (user.random.next() < 0.5 ? 'batch' : 'shell')),
  },
  ...commandActs,
  ...contextActs,
  ...inputActs,
];

/** Runs a cell that prints for seconds, and changes and reads files meanwhile. */
async function filesDuringCode({ name, calls, files, cell }: Acting): Promise<void> {
  const changeFiles = async () => {
    for (let count = 0; count < FILES_DURING_CODE; count += 1) await files.act(name);
  };
  await Promise.all([calls.execute(name, cell('stream')), changeFiles()]);
}

/** Submits several cells at once, some of them twice. Then executes each key again: it must be the same execution. */
async function runBatch(
  { name, calls, random, cell }: Acting,
  pickKind: () => CellKind,
): Promise<void> {
  const cells = Array.from({ length: random.between(MIN_BATCH, MAX_BATCH) }, () =>
    cell(pickKind()),
  );
  const sent = cells.flatMap((each) => (random.next() < TWICE_SHARE ? [each, each] : [each]));
  await Promise.all(sent.map((each) => calls.submit(name, each)));
  for (const each of cells) await calls.execute(name, each);
}
