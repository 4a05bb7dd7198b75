/** What of a rich output a model gets to see. Pure. */
import { mimeText, type RichOutput } from '../../../domain/output.ts';

export interface Image {
  /** Base64 without line breaks. */
  readonly data: string;
  readonly mimeType: 'image/png' | 'image/jpeg';
}

/** Longer HTML and SVG say a model less than they cost. */
const MAX_MARKUP_CHARS = 2_000;
const IMAGES = ['image/png', 'image/jpeg'] as const;
/** In the order of preference. */
const MARKUPS = ['text/markdown', 'text/latex', 'image/svg+xml', 'text/html'] as const;
/** The plain text of an object that only a browser can show. */
const SAYS_NOTHING = /^<[\w.]+ (?:object|size)\b[^\n]*>$/;

/** The image of an output. Null: it has none. */
export function imageOf({ data }: RichOutput): Image | null {
  for (const mimeType of IMAGES) {
    const value = mimeText(data[mimeType])?.replace(/\s+/g, '');
    if (value !== undefined && isBase64(value)) return { data: value, mimeType };
  }
  return null;
}

/** Code may show anything as an image. A host refuses the whole result for one that is no base64. */
function isBase64(value: string): boolean {
  const digits = value.replace(/={1,2}$/, '');
  return value !== '' && value.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(digits);
}

/** Its text: the plain one, unless that says nothing and short markup says more. Null: it has none. */
export function shownText({ data }: RichOutput): string | null {
  const plain = mimeText(data['text/plain']);
  if (plain !== null && !SAYS_NOTHING.test(plain)) return plain;
  for (const type of MARKUPS) {
    const markup = mimeText(data[type]);
    if (markup !== null && markup.length <= MAX_MARKUP_CHARS) return markup;
  }
  return plain;
}
