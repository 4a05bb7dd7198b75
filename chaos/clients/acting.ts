/** What a user's actions work with. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cell, CellKind } from '../history.ts';
import type { Random } from '../random.ts';
import type { Calls } from './calls.ts';
import type { Files } from './files.ts';
import type { Inputs } from './inputs.ts';

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

/** The same for a user of another wire than GraphQL. */
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

export async function submitAndFollow(
  { name, calls, cell, follow }: Acting,
  kind: CellKind,
  contextId?: string,
): Promise<void> {
  const { answer } = await calls.submit(name, cell(kind), contextId);
  if (answer?.id) await follow(answer.id);
}
