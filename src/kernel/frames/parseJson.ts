import { endOfText, parseExactly } from '../../domain/exactJson.ts';

/**
 * Most values (objects, arrays, numbers, texts; keys are not counted) in one frame. 16 MiB can hold five million (`{},{},...`):
 * 0.3 GB as objects, and a second or more in which nobody else is served. These take 65 MB and 0.2 s at the worst, and are
 * a chart of 250,000 points. The agent refuses outputs of more (docs/worker-protocol.md, "Bounds").
 */
const MAX_JSON_VALUES = 500_000;

/** The value that `text` says, with every digit of its whole numbers. Undefined: it is no JSON, or holds too many values. */
export function parseJson(text: string): unknown {
  if (!holdsAtMost(MAX_JSON_VALUES, text)) return undefined;
  try {
    return parseExactly(text);
  } catch (e: unknown) {
    // A SyntaxError is the peer's fault and counted by the caller; nothing else is expected.
    if (e instanceof SyntaxError) return undefined;
    throw e;
  }
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** Counts what begins a value or parts it from the one before it (so an empty list or object counts twice). */
function holdsAtMost(max: number, text: string): boolean {
  // A value takes two characters at least, itself and what parts it from the next: only large frames are looked at.
  if (text.length <= 2 * max) return true;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfText(text, at);
    else if (unit === COMMA || unit === OPENING_BRACKET || unit === OPENING_BRACE) values += 1;
    if (values > max) return false;
  }
  return true;
}
