/** Chooses the part of a rich output that a model gets to see. Pure. */
import { mimeText, type RichOutput } from '../../../domain/output.ts';

export interface Image {
  /** Base64 without line breaks. */
  readonly data: string;
  readonly mimeType: 'image/png' | 'image/jpeg';
}

/** Longer markup, such as HTML and SVG, costs a model more than it tells it. */
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

/** Code may show anything as an image. If one image is not base64, a host refuses the whole result. */
function isBase64(value: string): boolean {
  const digits = value.replace(/={1,2}$/, '');
  return value !== '' && value.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(digits);
}

/** The text of an output: its plain text, or short markup if the plain text says nothing. Null: it has no text. */
export function shownText({ data }: RichOutput): string | null {
  const plain = mimeText(data['text/plain']);
  if (plain !== null && !SAYS_NOTHING.test(plain)) return plain;
  for (const type of MARKUPS) {
    const markup = mimeText(data[type]);
    if (markup !== null && markup.length <= MAX_MARKUP_CHARS) return markup;
  }
  return plain;
}
