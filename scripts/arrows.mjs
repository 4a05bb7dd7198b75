/**
 * Which rooms of `src/` may import which others, and which packages only certain rooms may import.
 * `scripts/check-arrows.mjs` checks every file against it. docs/architecture.md says what belongs in each room.
 */

/** A room is a folder of `src/` or a file in it. From rooms in `types`, only types may be imported. Not transitive. */
export const ROOMS = {
  domain: { may: [] },
  config: { may: ['domain'] },
  process: { may: ['domain'] },
  postgres: { may: ['domain'] },
  events: { may: ['domain'], types: ['config'] },
  runtime: { may: ['domain'], types: ['config'] },
  kernel: { may: ['domain'], types: ['config'] },
  worker: { may: ['domain', 'events', 'kernel'] },
  pool: { may: ['domain', 'events', 'runtime', 'worker'], types: ['config'] },
  service: { may: ['domain', 'events', 'pool', 'worker'], types: ['config'] },
  schema: { may: ['domain', 'service'] },
  doors: { may: ['domain', 'service'] },
  server: { may: ['domain', 'service', 'schema', 'doors', 'config', 'process'] },
  'gateway.ts': {
    may: [
      'domain',
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
  cli: { may: ['domain', 'config', 'process', 'postgres', 'events', 'gateway.ts'] },
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
};
