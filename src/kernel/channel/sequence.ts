import type { Hello } from '../frames/messages.ts';
import { KernelProtocolError } from './kernelErrors.ts';

/** A channel's position in the numbered messages of one agent. */
export interface Sequence {
  /** The last seq seen. */
  readonly last: number;
  /** The last seq that is stored. */
  readonly acked: number;
  /**
   * Takes in a hello. Results:
   * - `same-boot`: the agent continues where the cursor stands.
   * - `new-boot`: the agent was restarted since the cursor, and this connection brings its messages from the first on.
   * - `ask-again`: the agent was restarted, but this connection asked it to skip messages; connect again.
   * - an Error: the agent no longer has the message that must come next.
   */
  greet(hello: Hello): 'same-boot' | 'new-boot' | 'ask-again' | KernelProtocolError;
  /** Whether a message is the next one or was seen before. An Error: it must not come at this point. */
  place(seq: number | null): 'next' | 'duplicate' | KernelProtocolError;
  /** Records that everything up to `seq` is stored. Returns whether this advances {@link Sequence.acked}. */
  ack(seq: number): boolean;
}

export function createSequence(cursor: {
  readonly after: number;
  /** '' if no agent of this worker has been reached yet. */
  readonly bootId: string;
}): Sequence {
  let { bootId } = cursor;
  let acked = cursor.after;
  let last = cursor.after;
  /** The seq that this connection must bring next, duplicates included. */
  let expected = cursor.after + 1;
  /** The agent was restarted, and `greet` has not returned `new-boot` yet. */
  let isNewBoot = false;

  return {
    get last() {
      return last;
    },
    get acked() {
      return acked;
    },
    greet: (hello) => {
      if (bootId !== hello.bootId) {
        isNewBoot = bootId !== '';
        bootId = hello.bootId;
        const asked = acked;
        acked = 0;
        last = 0;
        if (asked !== 0) return 'ask-again';
      }
      if (hello.lastSeq < acked || (hello.lastSeq > acked && hello.firstSeq > acked + 1))
        return new KernelProtocolError(
          `The worker has messages ${hello.firstSeq} to ${hello.lastSeq}; ${acked + 1} must come next.`,
        );
      expected = acked + 1;
      const answer = isNewBoot ? 'new-boot' : 'same-boot';
      isNewBoot = false;
      return answer;
    },
    place: (seq) => {
      if (seq !== expected)
        return new KernelProtocolError(`Message ${seq} arrived, but ${expected} was expected.`);
      expected += 1;
      if (seq <= last) return 'duplicate';
      last = seq;
      return 'next';
    },
    ack: (seq) => {
      if (seq <= acked || seq > last) return false;
      acked = seq;
      return true;
    },
  };
}
