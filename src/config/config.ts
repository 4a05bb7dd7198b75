/**
 * The environment, read once into one readonly, typed object. Nothing else reads `process.env`. The variables, their
 * defaults and ranges are the table in {@link loadConfig}.
 */
import { resolve } from 'node:path';
import { ConfigError, type ConfigReader, createConfigReader } from './configReader.ts';

export { ConfigError } from './configReader.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Each field is the variable of the same name in capitals (`minIdleWorkers`: MIN_IDLE_WORKERS). */
export interface Config {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Absolute. */
  readonly dataDir: string;
  /** Null: the token is in `<dataDir>/auth-token`, made at the first start. */
  readonly authToken: string | null;
  /** Null: the embedded Postgres. */
  readonly databaseUrl: string | null;
  /** The path behind DOCKER_HOST's `unix://`. */
  readonly dockerSocketPath: string;
  readonly dockerRuntime: string;
  /** Absolute; holds `<poolId>/<workerId>/agent.sock`. */
  readonly socketDir: string;
  readonly logLevel: LogLevel;
  /** The worker image's tag or id; the start script sets it. */
  readonly workerImage: string | null;

  readonly minIdleWorkers: number;
  readonly maxTotalWorkers: number;
  readonly workerMemoryMb: number;
  readonly workerCpus: number;
  readonly workerPids: number;
  readonly workerDiskMb: number;
  readonly workerWaitTimeoutMs: number;
  readonly workerOrphanTimeoutMs: number;

  readonly sessionIdleTimeoutMs: number;
  readonly sessionMaxLifeMs: number;
  readonly recyclingIntervalMs: number;

  readonly executionTimeoutMs: number;
  readonly maxExecutionTimeoutMs: number;
  readonly interruptGraceMs: number;
  /** Per session. */
  readonly maxQueuedExecutions: number;
  readonly idempotencyTtlMs: number;

  /** UTF-8. */
  readonly maxCodeBytes: number;
  readonly maxBodyBytes: number;
  /** Kept per execution. */
  readonly maxOutputBytes: number;
  readonly maxResponseBytes: number;
  readonly replayBufferBytes: number;
  /** How long a subscriber may take nothing before it is cut. */
  readonly slowReaderTimeoutMs: number;

  /** Of one GraphQL document: levels of fields, aliases, directives, lexical tokens, and GraphQL Armor's cost. */
  readonly maxQueryDepth: number;
  readonly maxQueryAliases: number;
  readonly maxQueryDirectives: number;
  readonly maxQueryTokens: number;
  readonly maxQueryCost: number;
  readonly introspection: 'on' | 'off';
  /** Origins whose pages may call the API, beside those of the host itself. Of others a browser refuses calls, and we WebSockets. */
  readonly corsOrigins: readonly string[];
}

/** What `serve` needs beyond the other commands. */
export interface ServeConfig extends Config {
  readonly workerImage: string;
}

/** A Unix socket's path ends here (sun_path, less its final NUL). */
const MAX_SOCKET_PATH_BYTES = 107;
/** `/<poolId>/<workerId>/agent.sock` below SOCKET_DIR, the ids without their dashes. */
const SOCKET_PATH_TAIL_BYTES = 1 + 32 + 1 + 32 + '/agent.sock'.length;
/** The longest delay that a Node timer and a GraphQL Int can hold; about 24 days. */
const MAX_MS = 2_147_483_647;
const GIB = 1_073_741_824;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The configuration in `env`.
 * @throws ConfigError with every problem, each naming the variable, its value and what is allowed
 */
export function loadConfig(env: Env, uid: number | undefined = process.getuid?.()): Config {
  const reader = createConfigReader(env);
  const config = readAll(env, reader, uid);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  return config;
}

/** {@link loadConfig} for `serve`, where WORKER_IMAGE must be set. */
export function loadServeConfig(
  env: Env,
  uid: number | undefined = process.getuid?.(),
): ServeConfig {
  const reader = createConfigReader(env);
  const config = readAll(env, reader, uid);
  const { workerImage } = config;
  reader.check(
    ['WORKER_IMAGE'],
    workerImage !== null,
    'WORKER_IMAGE is not set, but must be the tag or id of the worker image (npm start builds it and sets this).',
  );
  if (reader.problems.length > 0 || workerImage === null) throw new ConfigError(reader.problems);
  return { ...config, workerImage };
}

function readAll(env: Env, reader: ConfigReader, uid: number | undefined): Config {
  const config: Config = {
    ...readPlaces(env, reader, uid),
    ...readPool(reader),
    ...readLimits(reader),
    ...readQueryLimits(reader),
  };
  reader.check(
    ['MIN_IDLE_WORKERS', 'MAX_TOTAL_WORKERS'],
    config.minIdleWorkers <= config.maxTotalWorkers,
    `MIN_IDLE_WORKERS is ${config.minIdleWorkers}, but must be at most MAX_TOTAL_WORKERS (${config.maxTotalWorkers}).`,
  );
  reader.check(
    ['EXECUTION_TIMEOUT_MS', 'MAX_EXECUTION_TIMEOUT_MS'],
    config.executionTimeoutMs <= config.maxExecutionTimeoutMs,
    `EXECUTION_TIMEOUT_MS is ${config.executionTimeoutMs}, but must be at most MAX_EXECUTION_TIMEOUT_MS (${config.maxExecutionTimeoutMs}).`,
  );
  return config;
}

function readPlaces(env: Env, reader: ConfigReader, uid: number | undefined) {
  return {
    host: reader.text('HOST', {
      fallback: '127.0.0.1',
      allowed: 'a host name or an address, without a port',
      isAllowed: (text) => /^[\w.:-]+$/.test(text),
    }),
    port: reader.integer('PORT', { fallback: 3874, min: 0, max: 65_535 }),
    dataDir: resolve(reader.text('DATA_DIR', { fallback: '.cellhouse', ...path })),
    authToken: reader.optionalText('AUTH_TOKEN', {
      allowed: '1 to 1024 printable ASCII characters without spaces',
      isAllowed: (text) => /^[\x21-\x7e]{1,1024}$/.test(text),
      show: () => '(not shown)',
    }),
    databaseUrl: reader.optionalText('DATABASE_URL', {
      allowed: 'a postgres:// or postgresql:// URL',
      isAllowed: (text) => /^postgres(ql)?:$/.test(parseUrl(text)?.protocol ?? ''),
      show: withoutPassword,
    }),
    dockerSocketPath: reader
      .text('DOCKER_HOST', {
        fallback: 'unix:///var/run/docker.sock',
        allowed: 'unix:// and an absolute path: workers are reached over sockets of this machine',
        isAllowed: (text) =>
          text.startsWith('unix:///') && text.length > 'unix:///'.length && !text.includes('\0'),
      })
      .slice('unix://'.length),
    dockerRuntime: reader.text('DOCKER_RUNTIME', {
      fallback: 'runc',
      allowed: 'the name of a runtime that the Docker engine knows',
      isAllowed: (text) => /^[\w.-]+$/.test(text),
    }),
    socketDir: readSocketDir(env, reader, uid),
    logLevel: readLogLevel(reader),
    workerImage: reader.optionalText('WORKER_IMAGE', {
      allowed: "an image's tag or id",
      isAllowed: (text) => /^[\w][\w.:/@-]*$/.test(text),
    }),
  };
}

function readPool(reader: ConfigReader) {
  return {
    minIdleWorkers: reader.integer('MIN_IDLE_WORKERS', { fallback: 2, min: 0, max: 1_000 }),
    maxTotalWorkers: reader.integer('MAX_TOTAL_WORKERS', { fallback: 30, min: 1, max: 1_000 }),
    workerMemoryMb: reader.integer('WORKER_MEMORY_MB', { fallback: 512, min: 128, max: 1_048_576 }),
    workerCpus: reader.integer('WORKER_CPUS', { fallback: 1, min: 1, max: 512 }),
    workerPids: reader.integer('WORKER_PIDS', { fallback: 128, min: 32, max: 32_768 }),
    workerDiskMb: reader.integer('WORKER_DISK_MB', { fallback: 256, min: 16, max: 1_048_576 }),
    workerWaitTimeoutMs: milliseconds(reader, 'WORKER_WAIT_TIMEOUT_MS', 60_000, 0),
    workerOrphanTimeoutMs: milliseconds(reader, 'WORKER_ORPHAN_TIMEOUT_MS', 900_000, 1_000),
    sessionIdleTimeoutMs: milliseconds(reader, 'SESSION_IDLE_TIMEOUT_MS', 3_600_000, 1_000),
    sessionMaxLifeMs: milliseconds(reader, 'SESSION_MAX_LIFE_MS', 86_400_000, 1_000),
    recyclingIntervalMs: milliseconds(reader, 'RECYCLING_INTERVAL_MS', 300_000, 100),
  };
}

function readLimits(reader: ConfigReader) {
  return {
    executionTimeoutMs: milliseconds(reader, 'EXECUTION_TIMEOUT_MS', 10_000, 1),
    maxExecutionTimeoutMs: milliseconds(reader, 'MAX_EXECUTION_TIMEOUT_MS', 300_000, 1),
    interruptGraceMs: milliseconds(reader, 'INTERRUPT_GRACE_MS', 1_000, 1),
    maxQueuedExecutions: reader.integer('MAX_QUEUED_EXECUTIONS', {
      fallback: 64,
      min: 1,
      max: 10_000,
    }),
    idempotencyTtlMs: milliseconds(reader, 'IDEMPOTENCY_TTL_MS', 86_400_000, 1_000),
    // The agent takes frames of at most 16 MiB, and JSON makes six characters of a U+0000.
    maxCodeBytes: reader.integer('MAX_CODE_BYTES', { fallback: 1_048_576, min: 1, max: 2_097_152 }),
    maxBodyBytes: bytes(reader, 'MAX_BODY_BYTES', 8_388_608, 1_024),
    maxOutputBytes: bytes(reader, 'MAX_OUTPUT_BYTES', 33_554_432, 1_024),
    // A response is one string, which V8 ends at about 512 MiB.
    maxResponseBytes: reader.integer('MAX_RESPONSE_BYTES', {
      fallback: 134_217_728,
      min: 65_536,
      max: 402_653_184,
    }),
    slowReaderTimeoutMs: milliseconds(reader, 'SLOW_READER_TIMEOUT_MS', 30_000, 100),
    replayBufferBytes: bytes(reader, 'REPLAY_BUFFER_BYTES', 33_554_432, 1_048_576),
  };
}

function readQueryLimits(reader: ConfigReader) {
  const limit = (name: string, fallback: number) =>
    reader.integer(name, { fallback, min: 1, max: 1_000_000 });
  return {
    maxQueryDepth: limit('MAX_QUERY_DEPTH', 12),
    maxQueryAliases: limit('MAX_QUERY_ALIASES', 30),
    maxQueryDirectives: limit('MAX_QUERY_DIRECTIVES', 50),
    maxQueryTokens: limit('MAX_QUERY_TOKENS', 5_000),
    maxQueryCost: limit('MAX_QUERY_COST', 100_000),
    introspection: readIntrospection(reader),
    corsOrigins: readCorsOrigins(reader),
  };
}

function milliseconds(reader: ConfigReader, name: string, fallback: number, min: number): number {
  return reader.integer(name, { fallback, min, max: MAX_MS });
}

function bytes(reader: ConfigReader, name: string, fallback: number, min: number): number {
  return reader.integer(name, { fallback, min, max: GIB });
}

function readLogLevel(reader: ConfigReader): LogLevel {
  const text = reader.text('LOG_LEVEL', {
    fallback: 'info',
    allowed: `one of ${LOG_LEVELS.join(', ')}`,
    isAllowed: (value) => LOG_LEVELS.some((level) => level === value),
  });
  return LOG_LEVELS.find((level) => level === text) ?? 'info';
}

function readIntrospection(reader: ConfigReader): 'on' | 'off' {
  const text = reader.text('INTROSPECTION', {
    fallback: 'on',
    allowed: 'on or off',
    isAllowed: (value) => ['on', 'off'].includes(value),
  });
  return text === 'off' ? 'off' : 'on';
}

function readCorsOrigins(reader: ConfigReader): string[] {
  const text = reader.optionalText('CORS_ORIGINS', {
    allowed: 'origins such as https://app.example.com, with commas between them',
    isAllowed: (value) => value.split(',').every((part) => isOrigin(part.trim())),
  });
  return text === null ? [] : text.split(',').map((part) => part.trim());
}

/** Scheme, host and port, as a browser sends it. */
function isOrigin(text: string): boolean {
  const url = parseUrl(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

/** `/run/cellhouse` for root; else `cellhouse` below the user's runtime directory. */
function readSocketDir(env: Env, reader: ConfigReader, uid: number | undefined): string {
  const runtimeDir = env.XDG_RUNTIME_DIR;
  const fallback = uid === 0 ? '/run/cellhouse' : runtimeDir ? `${runtimeDir}/cellhouse` : '';
  const socketDir = resolve(reader.text('SOCKET_DIR', { fallback, ...path }));
  reader.check(
    ['SOCKET_DIR'],
    fallback !== '' || Boolean(env.SOCKET_DIR),
    'SOCKET_DIR is not set and neither is XDG_RUNTIME_DIR, but without root one of them must name a directory of yours.',
  );
  const limit = MAX_SOCKET_PATH_BYTES - SOCKET_PATH_TAIL_BYTES;
  reader.check(
    ['SOCKET_DIR'],
    Buffer.byteLength(socketDir) <= limit || !(fallback || env.SOCKET_DIR),
    `SOCKET_DIR is ${JSON.stringify(socketDir)}, but must be at most ${limit} bytes long: a socket's path ends at ${MAX_SOCKET_PATH_BYTES}.`,
  );
  return socketDir;
}

const path = {
  allowed: 'a path',
  isAllowed: (text: string) => !text.includes('\0'),
};

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** What cannot be parsed is not shown at all: nobody can say where its password is. */
function withoutPassword(text: string): string {
  const url = parseUrl(text);
  if (!url) return 'not a URL';
  return JSON.stringify(`${url.protocol}//${url.host}${url.pathname}`);
}
