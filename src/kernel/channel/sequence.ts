import type { Hello } from '../frames/messages.ts';
import { KernelProtocolError } from './kernelErrors.ts';

/** Where in one agent's numbered messages a channel stands. */
export interface Sequence {
  /** The last seq seen. */
  readonly last: number;
  /** The last that is stored for good. */
  readonly acked: number;
  /**
   * Takes in a hello. `ask-again`: another boot, whose messages from 1 on were not asked for; connect again. `new-boot`: another
   * boot than the cursor's, from its first message on. An Error: the agent cannot give what must come next.
   */
  greet(hello: Hello): 'same-boot' | 'new-boot' | 'ask-again' | KernelProtocolError;
  /** Whether a message is the next one, seen before, or (an Error) one that cannot come here. */
  place(seq: number | null): 'next' | 'duplicate' | KernelProtocolError;
  /** Whether that is news. */
  ack(seq: number): boolean;
}

export function createSequence(cursor: {
  readonly after: number;
  /** '' if the agent has never been met. */
  readonly bootId: string;
}): Sequence {
  let { bootId } = cursor;
  let acked = cursor.after;
  let last = cursor.after;
  /** The seq that this connection must bring next, duplicates included. */
  let expected = cursor.after + 1;
  /** The owner has not been told yet that the boot is another. */
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
        return new KernelProtocolError(`Message ${seq} came where ${expected} must come.`);
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
