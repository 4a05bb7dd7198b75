/** A message must name the value that it refuses, but must not repeat a whole body. */
const MAX_QUOTED_CHARS = 200;

/** A given value for an error message: in quotes, on one line, and cut if it is long. */
export function quoted(text: string): string {
  return JSON.stringify(
    text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}...` : text,
  );
}
