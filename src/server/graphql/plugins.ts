import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import type { YogaServerOptions } from 'graphql-yoga';
import type { SchemaContext } from '../../schema/context.ts';
import { useReadBody } from './bodyParams.ts';
import { useExactResults } from './exactResults.ts';
import { type ErrorMask, useOneCode } from './maskErrors.ts';
import { type QueryLimits, useIntrospection, useMaxTokens } from './queryLimits.ts';
import { useSentStreams } from './sentStreams.ts';
import type { ServerContext } from './serverContext.ts';

type Plugins = NonNullable<YogaServerOptions<ServerContext, SchemaContext>['plugins']>;

export interface PluginsDeps {
  readonly limits: QueryLimits;
  readonly errorMask: ErrorMask;
}

/**
 * Yoga's plugins in the order in which a request meets them: request, parsing, validation, execution. A WebSocket's operations
 * meet all but those of the request. Each limit's refusal says which it is, how high, and what was found; `__schema` counts for
 * neither depth nor cost.
 */
export function createPlugins({ limits, errorMask }: PluginsDeps): Plugins {
  return [
    // The request. First, for what another site's page sends is not even to be read: those headers it cannot set.
    useCSRFPrevention({ requestHeaders: ['x-auth-token', 'authorization'] }),
    useReadBody(),

    // Parsing. Everything below looks at the whole document, so its length is bounded before.
    useMaxTokens(limits.maxQueryTokens),

    // Validation. The cheapest limits first; cost, which counts every field of every fragment, last.
    maxDepthPlugin({ n: limits.maxQueryDepth, flattenFragments: true }),
    maxAliasesPlugin({ n: limits.maxQueryAliases }),
    maxDirectivesPlugin({ n: limits.maxQueryDirectives }),
    costLimitPlugin({ maxCost: limits.maxQueryCost, flattenFragments: true }),
    useIntrospection(limits.introspection),
    // Behind all rules, for it sees their errors.
    useOneCode(),

    // Execution. Server-sent events only: what a WebSocket streams is watched by graphql-ws.
    useSentStreams(errorMask),

    // The answer.
    useExactResults(),
  ];
}
