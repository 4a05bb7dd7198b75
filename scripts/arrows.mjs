/**
 * Which rooms of `src/` may import which others, and which packages only certain rooms may import.
 * `scripts/check-arrows.mjs` checks every file against it. docs/architecture.md says what belongs in each room.
 */

/** A room is a folder of `src/` or a file in it. From rooms in `types`, only types may be imported. Not transitive. */
export const ROOMS = {
  domain: { may: [] },
  async: { may: [] },
  config: { may: ['domain'] },
  process: { may: ['domain'] },
  postgres: { may: ['domain', 'async'] },
  events: { may: ['domain', 'async'], types: ['config'] },
  runtime: { may: ['domain', 'async'], types: ['config'] },
  kernel: { may: ['domain', 'async'], types: ['config'] },
  worker: { may: ['domain', 'async', 'events', 'kernel'] },
  egress: { may: ['domain', 'async', 'events'], types: ['config'] },
  pool: { may: ['domain', 'async', 'events', 'runtime', 'worker'], types: ['config'] },
  environments: { may: ['domain', 'async', 'events', 'runtime', 'kernel'], types: ['config'] },
  service: {
    may: ['domain', 'async', 'events', 'pool', 'worker', 'environments'],
    types: ['config'],
  },
  schema: { may: ['domain', 'service'] },
  doors: { may: ['domain', 'async', 'service'] },
  server: { may: ['domain', 'async', 'service', 'schema', 'doors', 'config', 'process'] },
  'gateway.ts': {
    may: [
      'domain',
      'async',
      'config',
      'process',
      'postgres',
      'events',
      'runtime',
      'kernel',
      'worker',
      'egress',
      'pool',
      'environments',
      'service',
      'schema',
      'doors',
      'server',
    ],
  },
  cli: {
    may: ['domain', 'async', 'config', 'process', 'postgres', 'events', 'service', 'gateway.ts'],
  },
  'cli.ts': { may: ['cli', 'process'] },
};

/** Packages (including everything below their names) and the only places that may import them. */
export const PACKAGES = {
  'drizzle-orm': ['events'],
  postgres: ['events'],
  dockerode: ['runtime/docker'],
  ws: ['kernel', 'server'],
  '@pothos/core': ['schema'],
  'graphql-yoga': ['server'],
  '@graphql-yoga': ['server'],
  'graphql-ws': ['server'],
  'prom-client': ['process', 'server'],
  '@fastify/busboy': ['doors/e2b'],
  '@modelcontextprotocol': ['doors/mcp', 'cli/mcp'],
};
