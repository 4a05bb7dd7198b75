/** Sends input as a careful client does: always with its offset, so that repeating a call is safe. */
import type { CellKind, InputRecord } from '../history.ts';
import { type ClientDeps, untilAnswered } from './attempts.ts';
import { attempt } from './calls.ts';

// The input that clients send. It follows from the key of the execution alone, so the checker knows what the code must
// have read, and which execution a line was for. Each line has a letter of two bytes, which may be cut in two.

export const INPUT_LINES = 12;
/** The cell reads one of this many lines as a password, which Cellhouse keeps as a secret for a while. */
export const PASSWORD_EVERY = 4;

/** Matches any line of input, to find lines where none may be. */
export const INPUT_LINE = /^<\S+ \d+ ä>$/m;

/** All input of the execution with this key: numbered lines. */
export function inputTextOf(key: string): string {
  return Array.from({ length: INPUT_LINES }, (_, line) => `<${key} ${line} ä>\n`).join('');
}

/** Whether code of this kind prints each line that it reads. A cell reads all lines, a command until its input ends. */
export function readsInput(kind: CellKind | null): boolean {
  return kind === 'input' || kind === 'shell-input';
}

export interface InputsDeps extends ClientDeps {
  readonly recordInput: (input: InputRecord) => void;
}

/** A part of the input of one execution. */
export type Piece = Pick<InputRecord, 'offset' | 'base64' | 'close'>;

export interface Inputs {
  /** Resolves when a gateway has answered. It throws only if the signal is aborted. */
  send(user: string, executionId: string, piece: Piece): Promise<InputRecord>;
}

const QUERY = `mutation Send($id: ID!, $offset: Int!, $data: ContentInput, $close: Boolean!) {
  done: sendInput(input: { executionId: $id, offset: $offset, data: $data, close: $close }) { offset nextOffset } }`;

export function createInputs(deps: InputsDeps): Inputs {
  return {
    send: async (user, executionId, piece) => {
      const { offset, base64, close } = piece;
      const data = base64 === null ? null : { base64 };
      const request = {
        query: QUERY,
        variables: { id: executionId, offset, data, close },
        answerOf: ({ done }: Readonly<Record<string, unknown>>) => done as Place,
      };
      const answered = await untilAnswered(deps, (url, token, signal) =>
        attempt(url, token, request, signal),
      );
      const record = { user, executionId, ...piece, ...answered };
      deps.recordInput(record);
      return record;
    },
  };
}

type Place = NonNullable<InputRecord['answer']>;
