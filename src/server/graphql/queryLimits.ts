/** Limits of one GraphQL document. */
import { NoSchemaIntrospectionCustomRule, parse } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Config } from '../../config/config.ts';

export type QueryLimits = Pick<
  Config,
  | 'maxQueryDepth'
  | 'maxQueryAliases'
  | 'maxQueryDirectives'
  | 'maxQueryTokens'
  | 'maxQueryCost'
  | 'introspection'
>;

/** Refuses a document with more than `maxTokens` lexical tokens while it is parsed. */
export function useMaxTokens(maxTokens: number): Plugin {
  const boundedParse: typeof parse = (source, options) => parse(source, { ...options, maxTokens });
  return { onParse: ({ setParseFn }) => setParseFn(boundedParse) };
}

/** Refuses introspection queries if `introspection` is off. */
export function useIntrospection(introspection: 'on' | 'off'): Plugin {
  if (introspection === 'on') return {};
  return {
    onValidate: ({ addValidationRule }) => addValidationRule(NoSchemaIntrospectionCustomRule),
  };
}
