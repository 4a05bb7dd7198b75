/** An error names what it refuses, and is no echo of a whole body. */
const MAX_QUOTED_CHARS = 200;

/** What somebody gave, for an error's text: in quotes, on one line, and cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(
    text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}...` : text,
  );
}
