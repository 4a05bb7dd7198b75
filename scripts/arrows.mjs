/**
 * Which room of `src/` may import which, and which packages each has to itself. `scripts/check-arrows.mjs` holds every file
 * to it; docs/architecture.md says what belongs in each room.
 */

/**
 * A room is a folder of `src/` or a file in it. `types`: only types may be imported from there. Nothing is allowed by
 * going through a third room.
 */
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
  pool: { may: ['domain', 'async', 'events', 'runtime', 'worker'], types: ['config'] },
  service: { may: ['domain', 'async', 'events', 'pool', 'worker'], types: ['config'] },
  schema: { may: ['domain', 'service'] },
  doors: { may: ['domain', 'service'] },
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
      'pool',
      'service',
      'schema',
      'doors',
      'server',
    ],
  },
  cli: { may: ['domain', 'async', 'config', 'process', 'postgres', 'events', 'gateway.ts'] },
  'cli.ts': { may: ['cli', 'process'] },
};

/** A package (with everything below its name), and the only places that may import it. */
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
};
