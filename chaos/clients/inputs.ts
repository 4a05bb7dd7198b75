/** Sends input as a careful client does: always with its offset, so that repeating a call is safe. */
import type { InputRecord } from '../inputRecord.ts';
import { type ClientDeps, untilAnswered } from './attempts.ts';
import { attempt } from './calls.ts';

export interface InputsDeps extends ClientDeps {
  readonly recordInput: (input: InputRecord) => void;
}

/** A part of the input of one execution. */
export type Piece = Pick<InputRecord, 'offset' | 'base64' | 'close'>;

export interface Inputs {
  /** Resolves when a gateway has answered. It throws only if the signal is aborted. */
  send(user: string, executionId: string, piece: Piece): Promise<InputRecord>;
}

const QUERY = `mutation Send($id: ID!, $offset: Int!, $base64: String, $close: Boolean!) {
  done: sendInput(executionId: $id, offset: $offset, base64: $base64, close: $close) { offset nextOffset } }`;

export function createInputs(deps: InputsDeps): Inputs {
  return {
    send: async (user, executionId, piece) => {
      const request = {
        query: QUERY,
        variables: { id: executionId, ...piece },
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
