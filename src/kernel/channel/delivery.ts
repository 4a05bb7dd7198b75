import type { MessageCounts } from '../../domain/messageCounts.ts';
import type { KernelMessage } from '../frames/messages.ts';
import type { Frame } from '../frames/parseFrame.ts';
import type { Sequence } from './sequence.ts';

/** Every frame that may arrive on an open connection. */
export type DeliverableFrame = Exclude<Frame, { type: 'hello' }>;

/**
 * Takes in a frame, counts it, and hands on its message if it is the next in sequence. Returns whether the frame
 * advanced the channel, or an Error if it must not come at this point.
 */
export type Deliver = (frame: DeliverableFrame) => boolean | Error;

export function createDelivery(deps: {
  readonly sequence: Sequence;
  readonly counts: MessageCounts;
  readonly onMessage: (message: KernelMessage) => void;
}): Deliver {
  const { sequence, counts, onMessage } = deps;
  return (frame) => {
    const place = sequence.place(frame.type === 'message' ? frame.message.seq : frame.seq);
    if (place instanceof Error) return place;
    if (place === 'duplicate') {
      counts.duplicates += 1;
      return false;
    }
    if (frame.type === 'dropped') {
      counts[frame.why] += 1;
    } else {
      if (frame.isMalformed) counts.invalid += 1;
      counts.delivered += 1;
      onMessage(frame.message);
    }
    return true;
  };
}
