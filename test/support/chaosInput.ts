/** The input of a handmade history: two pieces that are cut within a line, and the end. */
import { inputTextOf } from '../../chaos/clients/inputs.ts';
import type { InputRecord } from '../../chaos/history.ts';
import type { InputPiece } from '../../src/domain/execution.ts';

const CUT = 30;

interface Sent {
  readonly call: Pick<InputRecord, 'offset' | 'base64' | 'close' | 'answer'>;
  /** What is recorded of it. */
  readonly piece: InputPiece;
}

/** @param isSecret whether the second piece was sent when a password was asked for */
export function inputSentTo(key: string, isSecret: boolean): Sent[] {
  const whole = Buffer.from(inputTextOf(key));
  const ends = [CUT, whole.length, whole.length];
  return ends.map((end, index) => {
    const offset = ends[index - 1] ?? 0;
    const bytes = whole.subarray(offset, end);
    const close = index === 2;
    const isTold = bytes.length > 0 && !(isSecret && index === 1);
    return {
      call: {
        ...{ offset, close, answer: { offset, nextOffset: end } },
        base64: bytes.length > 0 ? bytes.toString('base64') : null,
      },
      piece: { offset, bytes: bytes.length, close, ...(isTold && { text: bytes.toString() }) },
    };
  });
}
