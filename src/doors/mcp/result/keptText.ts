/** Text of any length, of which only the beginning and the end are kept, as a terminal would show it. */
import { renderedText } from '../../../service/answer/renderedText.ts';

/** How long all texts of one result may be together. Hosts cut or refuse results of more than some 25,000 tokens. */
export const MAX_RESULT_CHARS = 30_000;
const HEAD_SHARE = 2 / 3;
const HEAD_CHARS = MAX_RESULT_CHARS * HEAD_SHARE;
const TAIL_CHARS = MAX_RESULT_CHARS - HEAD_CHARS;
/**
 * A longer text is rendered in parts, to limit memory. A cursor that would move up out of its part stays at the top of
 * that part. The limit is far below what `renderedText` accepts.
 */
const MAX_UNDRAWN_CHARS = 262_144;

export interface KeptText {
  add(text: string): void;
  /** Forgets everything, as `clear_output` does. */
  clear(): void;
  /** The length of the whole text, including characters that were cut. */
  readonly chars: number;
  /** The text with at most `limit` of its characters. In a longer text, a note replaces the middle. */
  cutTo(limit: number): string;
}

export function createKeptText(): KeptText {
  let head = '';
  let tail = '';
  let chars = 0;
  let undrawn = '';

  function keep(drawn: string): void {
    chars += drawn.length;
    const room = HEAD_CHARS - head.length;
    head += drawn.slice(0, room);
    tail = (tail + drawn.slice(room)).slice(-TAIL_CHARS);
  }

  function draw(end: number): void {
    keep(renderedText(undrawn.slice(0, end)));
    undrawn = undrawn.slice(end);
  }

  return {
    add(text) {
      for (let at = 0; at < text.length; at += MAX_UNDRAWN_CHARS) {
        undrawn += text.slice(at, at + MAX_UNDRAWN_CHARS);
        if (undrawn.length <= MAX_UNDRAWN_CHARS) continue;
        draw(undrawn.lastIndexOf('\n', MAX_UNDRAWN_CHARS) + 1 || MAX_UNDRAWN_CHARS);
      }
    },
    clear() {
      head = tail = undrawn = '';
      chars = 0;
    },
    get chars() {
      draw(undrawn.length);
      return chars;
    },
    cutTo(limit) {
      draw(undrawn.length);
      if (chars <= limit) return (head + tail).toWellFormed();
      const begin = head.slice(0, Math.floor(limit * HEAD_SHARE));
      const end = limit - begin.length;
      const rest = end === 0 ? '' : (head + tail).slice(-end);
      return `${begin}\n[… ${chars - limit} characters are cut out here …]\n${rest}`.toWellFormed();
    },
  };
}

/**
 * How many characters each text may have, so that all together have at most `limit`: short ones are whole, and the
 * others share the rest evenly.
 */
export function shares(lengths: readonly number[], limit: number): number[] {
  const shared = lengths.map(() => 0);
  let left = limit;
  const order = lengths.map((_, index) => index).sort((a, b) => at(lengths, a) - at(lengths, b));
  for (const [done, index] of order.entries()) {
    const share = Math.min(at(lengths, index), Math.floor(left / (order.length - done)));
    shared[index] = share;
    left -= share;
  }
  return shared;
}

function at(lengths: readonly number[], index: number): number {
  return lengths[index] ?? 0;
}
