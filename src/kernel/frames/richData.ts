/** The bounds of a displayed object: of its data by MIME type, and of its metadata. */
import { jsonText } from '../../domain/exactJson.ts';
import { type JsonObject, nestsAtMost } from './jsonValue.ts';

/** Most MIME types of one displayed object. Rich libraries send about five. */
const MAX_MIME_TYPES = 64;
/** Longest MIME type; RFC 6838 allows 127 + 1 + 127. */
const MAX_MIME_TYPE_CHARS = 255;
/** Deepest JSON in data or metadata. Chart specifications reach about 20 levels. A stack overflows at thousands. */
const MAX_JSON_DEPTH = 128;
/** Most metadata kept with one output, as JSON. Real metadata holds a width and a height. */
const MAX_METADATA_CHARS = 65_536;

export function isKeepableData(data: JsonObject): boolean {
  const types = Object.keys(data);
  return (
    types.length <= MAX_MIME_TYPES &&
    types.every((type) => type.length <= MAX_MIME_TYPE_CHARS) &&
    nestsAtMost(MAX_JSON_DEPTH, data)
  );
}

/** Metadata that exceeds the bounds is dropped, but the data is kept: metadata only hints at how to show it. */
export function boundedMetadata(metadata: JsonObject): JsonObject {
  const isKeepable =
    nestsAtMost(MAX_JSON_DEPTH, metadata) && jsonText(metadata).length <= MAX_METADATA_CHARS;
  return isKeepable ? metadata : {};
}
