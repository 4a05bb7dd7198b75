/** What one GraphQL document may ask of the gateway. Each refusal says which limit it is, how high, and what was found. */
import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
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

/** Plugins for parsing and validation, over HTTP and WebSocket alike. `__schema` counts for neither depth nor cost. */
export function queryLimits(limits: QueryLimits): Plugin[] {
  const plugins: Plugin[] = [
    { onParse: ({ setParseFn }) => setParseFn(boundedParse(limits.maxQueryTokens)) },
    maxDepthPlugin({ n: limits.maxQueryDepth, flattenFragments: true }),
    maxAliasesPlugin({ n: limits.maxQueryAliases }),
    maxDirectivesPlugin({ n: limits.maxQueryDirectives }),
    costLimitPlugin({ maxCost: limits.maxQueryCost, flattenFragments: true }),
  ];
  if (limits.introspection === 'off') plugins.push(withoutIntrospection);
  return plugins;
}

const withoutIntrospection: Plugin = {
  onValidate: ({ addValidationRule }) => addValidationRule(NoSchemaIntrospectionCustomRule),
};

function boundedParse(maxTokens: number): typeof parse {
  return (source, options) => parse(source, { ...options, maxTokens });
}
