import type { ExpressionResults } from '../../domain/output.ts';
import type { ExpressionResult } from '../../domain/userExpressions.ts';
import { readErrorFacts } from './errorFacts.ts';
import { isJsonObject, type JsonObject } from './jsonValue.ts';
import { boundedMetadata, isKeepableData } from './richData.ts';

/** The agent has the same limits. */
const MAX_EXPRESSIONS = 64;
const MAX_NAME_CHARS = 128;

/** The results of the expressions that were evaluated after a cell. Null: they are malformed or exceed the limits. */
export function readExpressions({ results }: JsonObject): ExpressionResults | null {
  if (!isJsonObject(results)) return null;
  const entries = Object.entries(results);
  if (entries.length > MAX_EXPRESSIONS) return null;
  const read: [string, ExpressionResult][] = [];
  for (const [name, value] of entries) {
    const result = name.length <= MAX_NAME_CHARS && isJsonObject(value) ? readResult(value) : null;
    if (result === null) return null;
    read.push([name, result]);
  }
  return { kind: 'expressions', results: Object.fromEntries(read) };
}

function readResult(result: JsonObject): ExpressionResult | null {
  if (result.status !== 'ok') return { status: 'error', ...readErrorFacts(result) };
  const { data, metadata } = result;
  if (!isJsonObject(data) || !isKeepableData(data)) return null;
  return {
    status: 'ok',
    data,
    metadata: isJsonObject(metadata) ? boundedMetadata(metadata) : {},
  };
}
