import { refuse } from './validate.ts';

/** Bytes of a call: either as text, or in base64. */
export interface Content {
  readonly text?: string | null | undefined;
  readonly base64?: string | null | undefined;
}

/** @throws BAD_USER_INPUT unless exactly one of the two is given, and is well formed */
export function contentOf(content: Content): Buffer {
  if (content.text == null && content.base64 == null)
    return refuse('text', 'or base64 must be given', {});
  return optionalContentOf(content);
}

/** Like {@link contentOf}, but a call with neither is allowed, and has no bytes. @throws BAD_USER_INPUT */
export function optionalContentOf({ text, base64 }: Content): Buffer {
  if (text != null && base64 != null) refuse('base64', 'must not be given beside text', {});
  if (text != null) {
    if (!text.isWellFormed()) {
      refuse('text', 'must not contain lone surrogates; send the bytes as base64', {});
    }
    return Buffer.from(text);
  }
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (bytes.toString('base64') !== (base64 ?? '')) {
    refuse('base64', 'must be base64 (RFC 4648, section 4), padded, on one line', {});
  }
  return bytes;
}
