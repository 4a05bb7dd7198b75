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
 * Yoga's plugins, in the order in which a request passes them: request, parsing, validation, execution. Operations of a
 * WebSocket skip the request plugins. The error of each limit names the limit, its value, and the actual value.
 * `__schema` does not count towards depth or cost.
 */
export function createPlugins({ limits, errorMask }: PluginsDeps): Plugins {
  return [
    // The request. CSRF prevention comes first, so that the request of another site's page, which cannot set these
    // headers, is not even read.
    useCSRFPrevention({ requestHeaders: ['x-auth-token', 'authorization'] }),
    useReadBody(),

    // Parsing. Everything below visits the whole document, so its length is bounded first.
    useMaxTokens(limits.maxQueryTokens),

    // Validation. The cheapest limits come first. Cost comes last, because it counts every field of every fragment.
    maxDepthPlugin({ n: limits.maxQueryDepth, flattenFragments: true }),
    maxAliasesPlugin({ n: limits.maxQueryAliases }),
    maxDirectivesPlugin({ n: limits.maxQueryDirectives }),
    costLimitPlugin({ maxCost: limits.maxQueryCost, flattenFragments: true }),
    useIntrospection(limits.introspection),
    // After all validation rules, because it changes their errors.
    useOneCode(),

    // Execution. This is for server-sent events only; graphql-ws handles the streams of WebSockets.
    useSentStreams(errorMask),

    // The answer.
    useExactResults(),
  ];
}
