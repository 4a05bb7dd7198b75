import { endOfText, parseExactly } from '../../domain/exactJson.ts';

/**
 * Most values (objects, arrays, numbers, texts; not keys) in one frame. Without this limit, 16 MiB of `{},{},...` hold
 * five million values: they take 0.3 GB as objects, and block the event loop for a second or more. 500,000 values take
 * 65 MB and 0.2 s at worst, and are enough for a chart of 250,000 points. The agent refuses outputs with more
 * (docs/worker-protocol.md, "Bounds").
 */
const MAX_JSON_VALUES = 500_000;

/** Parses `text`, and keeps every digit of its integers. Undefined if it is not JSON or holds too many values. */
export function parseJson(text: string): unknown {
  if (!holdsAtMost(MAX_JSON_VALUES, text)) return undefined;
  try {
    return parseExactly(text);
  } catch (e: unknown) {
    // A SyntaxError is the peer's fault, and the caller counts it. No other error is expected.
    if (e instanceof SyntaxError) return undefined;
    throw e;
  }
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** Counts opening brackets and commas outside of texts. So an empty list or object counts twice. */
function holdsAtMost(max: number, text: string): boolean {
  // A value takes at least two characters, including its separator. So only large frames need counting.
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
