/** What one GraphQL document may ask of the gateway. */
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

/** Ends parsing at so many lexical tokens. */
export function useMaxTokens(maxTokens: number): Plugin {
  const boundedParse: typeof parse = (source, options) => parse(source, { ...options, maxTokens });
  return { onParse: ({ setParseFn }) => setParseFn(boundedParse) };
}

/** Refuses whatever asks for the schema, if it is off. */
export function useIntrospection(introspection: 'on' | 'off'): Plugin {
  if (introspection === 'on') return {};
  return {
    onValidate: ({ addValidationRule }) => addValidationRule(NoSchemaIntrospectionCustomRule),
  };
}
