import { mimeText, type RichOutput } from '../../../../domain/output.ts';
import type { ResultEvent } from './events.ts';

/** The key of each MIME type that has one, if its value is text. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ['text/plain', 'text'],
  ['text/html', 'html'],
  ['text/markdown', 'markdown'],
  ['image/svg+xml', 'svg'],
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['application/pdf', 'pdf'],
  ['text/latex', 'latex'],
  ['application/javascript', 'javascript'],
]);
/** The same, if its value is JSON. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['application/json', 'json'],
  ['e2b/data', 'data'],
  ['e2b/chart', 'chart'],
]);

/** The event for a result or for what was displayed. Types without a key of their own are below `extra`. */
export function resultEvent({ kind, data }: Pick<RichOutput, 'kind' | 'data'>): ResultEvent {
  const formats: Record<string, unknown> = {};
  const others: [string, unknown][] = [];
  for (const [type, value] of Object.entries(data)) {
    const text = TEXTS.get(type);
    const key = VALUES.get(type);
    if (text !== undefined) formats[text] = mimeText(value) ?? value;
    else if (key === undefined) others.push([type, value]);
    else if (!isNoChart(key, value)) formats[key] = value;
  }
  if (typeof formats.text === 'string') formats.text = unquoted(formats.text);
  return {
    type: 'result',
    ...formats,
    ...(others.length > 0 && { extra: Object.fromEntries(others) }),
    is_main_result: kind === 'result',
  };
}

/** A figure that is blank has an empty chart. */
function isNoChart(key: string, value: unknown): boolean {
  return (
    key === 'chart' &&
    (value === null || (typeof value === 'object' && Object.keys(value).length === 0))
  );
}

/** Text is shown without the quotes of its `repr`. */
function unquoted(text: string): string {
  const [first] = text;
  const isQuoted = text.length > 1 && (first === "'" || first === '"') && text.endsWith(first);
  return isQuoted ? text.slice(1, -1) : text;
}
