/**
 * The tables. drizzle-kit makes the migrations from them, and the code takes the types of rows from them. A row of a
 * projection is a state: its keys are those of the state in `src/domain`. Times have millisecond precision, like the
 * `Date`s of the states, so that a state read back equals the one that was written.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  customType,
  date,
  doublePrecision,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });
const count = (name: string) => bigint(name, { mode: 'number' });
const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

/** Every event, in commit order. Append-only. */
export const events = pgTable(
  'events',
  {
    position: count('position').primaryKey(),
    eventId: uuid('event_id').notNull(),
    streamId: text('stream_id').notNull(),
    version: integer('version').notNull(),
    type: text('type').notNull(),
    schemaVersion: integer('schema_version').notNull(),
    data: jsonb('data').notNull(),
    metadata: jsonb('metadata').notNull(),
    recordedAt: time('recorded_at').notNull(),
  },
  (table) => [
    unique('events_event_id_key').on(table.eventId),
    unique('events_stream_version_key').on(table.streamId, table.version),
  ],
);

export const workers = pgTable(
  'workers',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    poolId: uuid('pool_id').notNull(),
    state: text('state').notNull(),
    name: text('name').notNull(),
    imageId: text('image_id').notNull(),
    runtime: text('runtime').notNull(),
    limits: jsonb('limits').notNull(),
    environmentId: uuid('environment_id'),
    containerId: text('container_id'),
    socketPath: text('socket_path'),
    sessionId: uuid('session_id'),
    requestedAt: time('requested_at').notNull(),
    startedAt: time('started_at'),
    readyAt: time('ready_at'),
    readyMs: doublePrecision('ready_ms'),
    assignedAt: time('assigned_at'),
    endedAt: time('ended_at'),
    endReason: text('end_reason'),
    exitCode: integer('exit_code'),
    removedAt: time('removed_at'),
  },
  (table) => [
    // Nearly all rows are removed workers, and queries only look for the few others.
    index('workers_present_idx')
      .on(table.poolId, table.state)
      .where(sql`${table.state} <> 'REMOVED'`),
  ],
);

export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    workerId: uuid('worker_id').notNull(),
    followsLoss: boolean('follows_loss').notNull(),
    openedAt: time('opened_at').notNull(),
    hasOptions: boolean('has_options').notNull().default(false),
    metadata: jsonb('metadata').notNull().default({}),
    environmentVariableNames: text('environment_variable_names')
      .array()
      .notNull()
      .default(sql`'{}'::text[]`),
    idleTimeoutMs: count('idle_timeout_ms'),
    maxLifeMs: count('max_life_ms'),
    egressAllow: text('egress_allow').array(),
    environment: text('environment'),
    expiresAt: time('expires_at'),
    kernelRestarts: integer('kernel_restarts').notNull(),
    kernelRestartedAt: time('kernel_restarted_at'),
    closedAt: time('closed_at'),
    closeReason: text('close_reason'),
  },
  (table) => [
    // At most one open session per user. Only an index can check this: a guard cannot lock a row that does not exist
    // yet.
    uniqueIndex('sessions_open_user_key')
      .on(table.tenant, table.userUuid)
      .where(sql`${table.closedAt} is null`),
    index('sessions_user_idx').on(table.tenant, table.userUuid, table.openedAt),
    // A worker serves only one session.
    unique('sessions_worker_key').on(table.workerId),
    index('sessions_open_idx').on(table.openedAt).where(sql`${table.closedAt} is null`),
    // Most sessions have no metadata.
    index('sessions_metadata_idx')
      .using('gin', table.metadata.op('jsonb_path_ops'))
      .where(sql`${table.metadata} <> '{}'::jsonb`),
  ],
);

/**
 * When an open session was last used other than by an execution, such as by the transfer of a file. Not a projection:
 * the row does not follow from events. It is deleted when the session ends
 * (`migrations/sql/cellhouse_session_ends.sql`).
 */
export const sessionUses = pgTable('session_uses', {
  sessionId: uuid('session_id').primaryKey(),
  usedAt: time('used_at').notNull(),
});

/**
 * When an environment was last asked for, by its name. Not a projection: it only decides for which environments idle
 * workers are kept.
 */
export const environmentUses = pgTable('environment_uses', {
  name: text('name').primaryKey(),
  askedAt: time('asked_at').notNull(),
});

/**
 * How far the followers of a context have acknowledged its output. Not a projection: the row does not follow from
 * events. It is deleted some time after the end of its context or session. `reader` is a hash of a name, because a
 * client chose the name.
 */
export const contextReaders = pgTable(
  'context_readers',
  {
    /** For the default context, the id of its session. */
    contextId: uuid('context_id').notNull(),
    reader: text('reader').notNull(),
    sessionId: uuid('session_id').notNull(),
    position: count('position').notNull(),
    seq: integer('seq').notNull(),
    reachedAt: time('reached_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'context_readers_pkey', columns: [table.contextId, table.reader] }),
  ],
);

/**
 * The environment variables of open sessions. Not a projection, so that no event holds a value. The rows are written
 * when the session opens, and deleted when it ends (`migrations/sql/cellhouse_session_ends.sql`).
 */
export const sessionVariables = pgTable(
  'session_variables',
  {
    sessionId: uuid('session_id').notNull(),
    name: text('name').notNull(),
    value: text('value').notNull(),
  },
  (table) => [
    primaryKey({ name: 'session_variables_pkey', columns: [table.sessionId, table.name] }),
  ],
);

/**
 * The values of environment variables of unfinished executions. Not a projection: the events have only the names.
 * Deleted by a trigger when the execution ends (`migrations/sql/cellhouse_execution_ends.sql`).
 */
export const executionVariables = pgTable(
  'execution_variables',
  {
    executionId: uuid('execution_id').notNull(),
    name: text('name').notNull(),
    value: text('value').notNull(),
  },
  (table) => [
    primaryKey({ name: 'execution_variables_pkey', columns: [table.executionId, table.name] }),
  ],
);

/**
 * Secret input of unfinished executions: answers to `getpass`. Not a projection: the events have only the offset and
 * the length. Deleted by the same trigger as `execution_variables`.
 */
export const executionInputs = pgTable(
  'execution_inputs',
  {
    executionId: uuid('execution_id').notNull(),
    inputOffset: count('input_offset').notNull(),
    base64: text('base64').notNull(),
  },
  (table) => [
    primaryKey({ name: 'execution_inputs_pkey', columns: [table.executionId, table.inputOffset] }),
  ],
);

/**
 * Sessions with options that have ended by themselves, and whose end the user has accepted with `release`. Not a
 * projection: a closed session has no further events, so that it can be pruned.
 */
export const acceptedEnds = pgTable('accepted_ends', {
  sessionId: uuid('session_id').primaryKey(),
  acceptedAt: time('accepted_at').notNull().defaultNow(),
});

/** Contexts in addition to the default one of each session. */
export const contexts = pgTable(
  'contexts',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    sessionId: uuid('session_id').notNull(),
    workerId: uuid('worker_id').notNull(),
    name: text('name'),
    workingDirectory: text('working_directory'),
    slot: integer('slot').notNull(),
    status: text('status').notNull(),
    createdAt: time('created_at').notNull(),
    readyMs: doublePrecision('ready_ms'),
    kernelRestarts: integer('kernel_restarts').notNull(),
    kernelRestartedAt: time('kernel_restarted_at'),
    endedAt: time('ended_at'),
    endReason: text('end_reason'),
  },
  (table) => [
    uniqueIndex('contexts_slot_key')
      .on(table.sessionId, table.slot)
      .where(sql`${table.endedAt} is null`),
    uniqueIndex('contexts_name_key')
      .on(table.sessionId, table.name)
      .where(sql`${table.endedAt} is null and ${table.name} is not null`),
    index('contexts_session_idx').on(table.sessionId, table.createdAt),
    index('contexts_open_idx').on(table.workerId).where(sql`${table.endedAt} is null`),
  ],
);

/** The documents and consoles that Jupyter clients work on, and the contexts that run their cells. */
export const notebooks = pgTable(
  'notebooks',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    contextId: uuid('context_id').notNull(),
    path: text('path').notNull(),
    name: text('name').notNull(),
    type: text('type').notNull(),
    openedAt: time('opened_at').notNull(),
    closedAt: time('closed_at'),
  },
  (table) => [
    index('notebooks_open_idx')
      .on(table.tenant, table.userUuid)
      .where(sql`${table.closedAt} is null`),
  ],
);

/** The quotas that operators have set. All other tenants and users have the limits of the settings. */
export const quotas = pgTable('quotas', {
  id: uuid('id').primaryKey(),
  version: integer('version').notNull(),
  tenant: text('tenant').notNull(),
  /** NULL: all users of the tenant together. */
  userUuid: text('user_uuid'),
  kind: text('kind').notNull(),
  /** NULL: no limit. Also NULL after a reset. */
  maximum: count('maximum'),
  /** False: it was reset, so the setting holds. */
  isSet: boolean('is_set').notNull().default(true),
  setAt: time('set_at').notNull(),
});

export const executions = pgTable(
  'executions',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    sessionId: uuid('session_id').notNull(),
    workerId: uuid('worker_id').notNull(),
    status: text('status').notNull(),
    codeSha256: text('code_sha256').notNull(),
    codeBytes: integer('code_bytes').notNull(),
    timeoutMs: integer('timeout_ms').notNull(),
    maxOutputBytes: count('max_output_bytes').notNull(),
    idempotencyKey: text('idempotency_key'),
    requestedAt: time('requested_at').notNull(),
    startedAt: time('started_at'),
    finishedAt: time('finished_at'),
    executionCount: integer('execution_count'),
    errorName: text('error_name'),
    errorValue: text('error_value'),
    stateLost: boolean('state_lost').notNull(),
    truncated: boolean('truncated').notNull(),
    queuedMs: doublePrecision('queued_ms'),
    runMs: doublePrecision('run_ms'),
    cpuMs: doublePrecision('cpu_ms'),
    peakMemoryBytes: count('peak_memory_bytes'),
    outputBytes: count('output_bytes').notNull(),
    /** The files that it changed in the home, as its worker reports. NULL if nobody reported them. */
    files: jsonb('files'),
    /** The position of its ExecutionRequested, which gives the order of acceptance. Not part of the state. */
    requestedPosition: count('requested_position').notNull(),
    language: text('language').notNull().default('PYTHON'),
    contextId: uuid('context_id'),
    exitCode: integer('exit_code'),
    signal: text('signal'),
    keepsAlive: boolean('keeps_alive').notNull().default(true),
    inputBytes: count('input_bytes').notNull().default(0),
    inputClosed: boolean('input_closed').notNull().default(false),
    /** Options that matter mainly to the gateway that runs it. NULL if there are none. */
    options: jsonb('options'),
    stoppedBy: uuid('stopped_by'),
    /** NULL if it has not ended, or if it ended at a gateway of a release that did not count this. */
    storedOutputBytes: count('stored_output_bytes'),
    /** The process id of a command in its worker. NULL for cells, and if the worker did not report it. */
    pid: integer('pid'),
  },
  (table) => [
    index('executions_unfinished_idx')
      .on(table.workerId, table.requestedPosition)
      .where(sql`${table.finishedAt} is null`),
    index('executions_session_idx').on(table.sessionId, table.finishedAt),
    index('executions_user_idx').on(table.tenant, table.userUuid, table.requestedPosition),
    index('executions_tenant_idx').on(table.tenant, table.requestedPosition),
    // At its start, a gateway reads the use of the current day. Executions that ended recently are near the end of the
    // table, so that few blocks match.
    index('executions_finished_idx').using('brin', table.finishedAt),
    // The quotas of a tenant or of a user count unfinished executions.
    index('executions_open_idx')
      .on(table.tenant, table.userUuid)
      .where(sql`${table.finishedAt} is null`),
  ],
);

/** Changes of files that clients asked for. Changes that executions make are in the rows of `executions`. */
export const fileChanges = pgTable(
  'file_changes',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    sessionId: uuid('session_id').notNull(),
    workerId: uuid('worker_id').notNull(),
    operation: text('operation').notNull(),
    path: text('path').notNull(),
    toPath: text('to_path'),
    status: text('status').notNull(),
    size: count('size'),
    sha256: text('sha256'),
    isNew: boolean('is_new'),
    files: integer('files'),
    errorCode: text('error_code'),
    mayHaveHappened: boolean('may_have_happened'),
    requestedAt: time('requested_at').notNull(),
    finishedAt: time('finished_at'),
    /** The position of its FileChangeRequested, which orders the changes. Not part of the state. */
    requestedPosition: count('requested_position').notNull(),
  },
  (table) => [
    index('file_changes_session_idx').on(table.sessionId, table.requestedPosition),
    index('file_changes_user_idx').on(table.tenant, table.userUuid, table.requestedPosition),
  ],
);

/** The tokens that let callers in. Only the SHA-256 of a secret is stored. */
export const tokens = pgTable(
  'tokens',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    name: text('name').notNull(),
    role: text('role').notNull(),
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid'),
    userPrefix: text('user_prefix'),
    door: text('door'),
    createdAt: time('created_at').notNull(),
    expiresAt: time('expires_at'),
    secretSha256: text('secret_sha256').notNull(),
    formerSha256: text('former_sha256'),
    formerUntil: time('former_until'),
    revokedAt: time('revoked_at'),
    revokeReason: text('revoke_reason'),
  },
  (table) => [
    uniqueIndex('tokens_secret_key').on(table.secretSha256),
    index('tokens_former_idx').on(table.formerSha256),
  ],
);

/**
 * When the holder of a token last called, to the minute. Not a projection: the row does not follow from events, so that
 * a call costs no commit.
 */
export const tokenUses = pgTable('token_uses', {
  tokenId: uuid('token_id').primaryKey(),
  usedAt: time('used_at').notNull(),
});

/**
 * How many calls were refused in a minute, for the audit. Not a projection: nothing but the number of refused calls is
 * recorded.
 */
export const refusedCalls = pgTable(
  'refused_calls',
  {
    minute: time('minute').notNull(),
    token: text('token').notNull(),
    operation: text('operation').notNull(),
    code: text('code').notNull(),
    count: bigint('count', { mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.minute, table.token, table.operation, table.code] })],
);

/**
 * The connections that code asked for in a minute, for the audit. Not a projection: nothing but their numbers is
 * recorded.
 */
export const egressCounts = pgTable(
  'egress_counts',
  {
    sessionId: uuid('session_id').notNull(),
    minute: time('minute').notNull(),
    host: text('host').notNull(),
    port: integer('port').notNull(),
    outcome: text('outcome').notNull(),
    connections: count('connections').notNull(),
    sentBytes: count('sent_bytes').notNull(),
    receivedBytes: count('received_bytes').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'egress_counts_pkey',
      columns: [table.sessionId, table.minute, table.host, table.port, table.outcome],
    }),
    index('egress_counts_minute_idx').on(table.minute),
  ],
);

/**
 * Outputs of executions. Append-only. `json`, unlike `jsonb`, keeps the escapes \u0000 and \ud800 that Python prints.
 */
export const outputEvents = pgTable(
  'output_events',
  {
    executionId: uuid('execution_id').notNull(),
    seq: integer('seq').notNull(),
    kind: text('kind').notNull(),
    body: json('body').notNull(),
    /** Size of the body's text, so that a read can be limited without reading bodies. */
    bytes: integer('bytes').notNull(),
    at: time('at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'output_events_pkey', columns: [table.executionId, table.seq] }),
    // Each input of a cell reads the newest request for input. An execution may have many outputs but no such request.
    index('output_events_input_idx')
      .on(table.executionId, table.seq)
      .where(sql`${table.kind} = 'input'`),
  ],
);

/**
 * How far each worker's messages are stored, and the current epoch of its lease: only commits with this epoch are
 * accepted.
 */
export const workerCursors = pgTable('worker_cursors', {
  workerId: uuid('worker_id').primaryKey(),
  epoch: integer('epoch').notNull(),
  bootId: text('boot_id').notNull(),
  seq: count('seq').notNull(),
  progress: json('progress'),
});

export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: uuid('holder').notNull(),
  epoch: integer('epoch').notNull(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
});

/** The schema version that each gateway knows. A row counts only while the gateway's lease has the same epoch. */
export const gatewayReleases = pgTable('gateway_releases', {
  gatewayId: uuid('gateway_id').primaryKey(),
  epoch: integer('epoch').notNull(),
  version: integer('version').notNull(),
});

/**
 * How many calls wait for a worker at each gateway. Only rows of live gateways count (they hold the lease
 * `gateway-<id>`).
 */
export const waitingRequests = pgTable('waiting_requests', {
  gatewayId: uuid('gateway_id').primaryKey(),
  count: integer('count').notNull(),
  /**
   * For each tenant: how many calls wait, and the first places in the queue, each with the hash of a user, a time and
   * perhaps an environment.
   */
  tenants: jsonb('tenants').notNull(),
});

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenant: text('tenant').notNull(),
    userUuid: text('user_uuid').notNull(),
    key: text('key').notNull(),
    /** Keyed hashes of the request's fields. */
    requestHash: text('request_hash').notNull(),
    executionId: uuid('execution_id').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({
      name: 'idempotency_keys_pkey',
      columns: [table.tenant, table.userUuid, table.key],
    }),
    index('idempotency_keys_created_idx').on(table.createdAt),
  ],
);

/**
 * Secrets that all gateways of this database share, and that no caller may know. The first gateway that needs a secret
 * makes it.
 */
export const secrets = pgTable('secrets', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
  createdAt: time('created_at').notNull().defaultNow(),
});

/** Streams whose events were pruned. Their rows in the projections stay, although no event supports them any more. */
export const prunedStreams = pgTable('pruned_streams', {
  streamId: text('stream_id').primaryKey(),
  prunedAt: time('pruned_at').notNull().defaultNow(),
});

/** One row: the pool of this database, and the engine on which its containers run. */
export const pools = pgTable('pools', {
  /** Always true, so that a second row is refused. */
  isOnly: boolean('is_only').primaryKey().default(true),
  poolId: uuid('pool_id').notNull(),
  engineId: text('engine_id').notNull(),
  createdAt: time('created_at').notNull().defaultNow(),
});

/**
 * A link of the audit chain for each event, made by `cellhouse_seal` (`migrations/sql/cellhouse_seal.sql`). The link
 * stays when its event is deleted.
 */
export const eventLinks = pgTable(
  'event_links',
  {
    position: count('position').primaryKey(),
    /** The salted hash of the event's columns. */
    leaf: bytes('leaf').notNull(),
    /**
     * NULL once the event is deleted. Replaced once the event is emptied. So nobody can find out by guessing what it
     * contained.
     */
    salt: bytes('salt'),
    /** The tenant that the event belongs to. NULL if there is none, such as for a worker without a session. */
    tenant: text('tenant'),
    /** The event's number among those of its tenant: from 1, without holes. */
    number: count('number'),
  },
  (table) => [
    uniqueIndex('event_links_tenant_key')
      .on(table.tenant, table.number)
      .where(sql`${table.tenant} is not null`),
  ],
);

/** Pieces of history that were removed. */
export const removals = pgTable('removals', {
  id: uuid('id').primaryKey(),
  version: integer('version').notNull(),
  reason: text('reason').notNull(),
  before: time('before'),
  streams: integer('streams').notNull(),
  events: integer('events').notNull(),
  outputs: integer('outputs').notNull(),
  isArchived: boolean('is_archived').notNull(),
  digest: text('digest').notNull(),
  removedAt: time('removed_at').notNull(),
  /** NULL if it was pruned. */
  pseudonym: text('pseudonym'),
});

/** Versions of environments. */
export const environments = pgTable(
  'environments',
  {
    id: uuid('id').primaryKey(),
    version: integer('version').notNull(),
    name: text('name').notNull(),
    number: integer('number').notNull(),
    state: text('state').notNull(),
    reason: text('reason').notNull(),
    spec: jsonb('spec').notNull(),
    baseImageId: text('base_image_id').notNull(),
    hash: text('hash').notNull(),
    requestedAt: time('requested_at').notNull(),
    finishedAt: time('finished_at'),
    imageId: text('image_id'),
    bytes: count('bytes'),
    packages: jsonb('packages').notNull(),
    failure: text('failure'),
    lastLines: text('last_lines'),
    removedAt: time('removed_at'),
    removeReason: text('remove_reason'),
  },
  (table) => [
    // Two gateways that request a version at the same time cannot both use the same number.
    unique('environments_number_key').on(table.name, table.number),
    index('environments_present_idx').on(table.name).where(sql`${table.removedAt} is null`),
  ],
);

/**
 * The position of each event that a removal has deleted or emptied. The digest of the removal is a hash over these
 * rows.
 */
export const eventRemovals = pgTable(
  'event_removals',
  {
    position: count('position').notNull(),
    removalId: uuid('removal_id').notNull(),
    /** NULL: the event is deleted. Else the salted hash of the event with its new content. */
    leaf: bytes('leaf'),
  },
  (table) => [
    primaryKey({ name: 'event_removals_pkey', columns: [table.position, table.removalId] }),
  ],
);

/**
 * The users and tenants that are being forgotten, with their pseudonyms. After a crash, `cellhouse forget` continues
 * with the same pseudonyms. At the end, it deletes them, so that nobody can find out who was meant.
 */
export const pseudonyms = pgTable(
  'pseudonyms',
  {
    tenant: text('tenant').notNull(),
    /** Empty: the tenant itself. */
    userUuid: text('user_uuid').notNull(),
    pseudonym: text('pseudonym').notNull(),
  },
  (table) => [primaryKey({ name: 'pseudonyms_pkey', columns: [table.tenant, table.userUuid] })],
);

/** One row: how far the chain goes. */
export const chainHead = pgTable('chain_head', {
  /** Always true, so that a second row is refused. */
  isOnly: boolean('is_only').primaryKey().default(true),
  /** Tells the chains of two databases apart. */
  chainId: uuid('chain_id').notNull(),
  position: count('position').notNull(),
  /** The hash over all links up to this position. */
  head: bytes('head').notNull(),
  /** The day that is not closed yet. NULL until the chain has sealed every existing event for the first time. */
  openDay: date('open_day'),
});

/** The head of the chain at the end of each day (UTC) on which a gateway ran. Append-only. */
export const chainDays = pgTable('chain_days', {
  /** `-infinity`: the first head that covered all events that then existed. */
  day: date('day').primaryKey(),
  position: count('position').notNull(),
  head: bytes('head').notNull(),
  closedAt: time('closed_at').notNull(),
  /** The gateway that closed it. */
  gatewayId: text('gateway_id').notNull(),
});

/** The schema versions that this database has had (`migrations/schema.json`). The highest is the current one. */
export const schemaVersions = pgTable('schema_versions', {
  version: integer('version').primaryKey(),
  /** The oldest version whose gateways may still work on this database. */
  compatibleFrom: integer('compatible_from').notNull(),
  /** When a first use raised `compatible_from`. NULL if no first use has raised it. */
  raisedAt: time('raised_at'),
  appliedAt: time('applied_at').notNull().defaultNow(),
});

/** For each file of functions or views (`migrations/sql`), the hash of the content that was applied last. */
export const sqlFiles = pgTable('sql_files', {
  name: text('name').primaryKey(),
  sha256: text('sha256').notNull(),
});
