/**
 * Each figure on a page for users is what the settings, the code, the agent or the report of the benches says. A figure
 * beside its setting, as in "1 MiB (`MAX_FILE_TEXT_BYTES`)", is found by itself. Every other one needs a row.
 */
import { readdirSync } from 'node:fs';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import {
  about,
  atLeast,
  atMost,
  bench,
  checkFigures,
  constant,
  found,
  MIB,
  type Row,
  roundedUp,
  setting,
} from '../support/figures.ts';
import { probeNames, probeThemes, TIERS } from '../support/probes.ts';
import { readPage } from '../support/userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const GENERATED = ['settings.md', 'errors.md', 'reference.md', 'clients.md'];
const PAGES = ['README.md', ...['docs/run', 'docs/use', 'docs/use/doors'].flatMap(pagesIn)];

const AGENT = 'worker-image/agent/cellhouse_agent';
const AUDITOR = 'src/events/migrations/auditorRole.ts';
const CONTAINER = 'src/runtime/docker/containerSpec.ts';
const DATABASE = 'src/events/openDatabase.ts';
const EGRESS = 'src/egress/egressLog.ts';
const HOME = 'worker-image/agent/cellhouse_files';
const MACHINE = 'src/doctor/machine.ts';
const MCP = 'src/doors/mcp';
const REPORT = 'bench/RESULTS.md';
const RECIPE = 'src/environments/recipe.ts';
const SERVER = 'src/server/createServer.ts';
const SOCKETS = 'src/server/webSocket/webSockets.ts';
const TOKENS = 'src/service/access/tokenCache.ts';

const SECOND = 1_000;
const DAY = 86_400_000;
const COMMIT = constant('src/events/store/createEventStore.ts', 'COMMIT_RETRY_LIMIT_MS');
const GATEWAY_MEMORY = constant(MACHINE, 'GATEWAY_MB');
const IDLE = setting('SESSION_IDLE_TIMEOUT_MS');
const LIFE = setting('SESSION_MAX_LIFE_MS');
const PING = constant(SOCKETS, 'PING_INTERVAL_MS');
const SANDBOX_MEMORY = constant(CONTAINER, 'SANDBOX_MEMORY_MB');
const SEAL = constant('src/events/chain/auditKeeper.ts', 'SEAL_INTERVAL_MS');
const STOP = constant('src/process/servingProcess.ts', 'STOP_TIMEOUT_MS');
const TAKE_OVER = constant('test/e2e/gatewayFailures.test.ts', 'TAKE_OVER_LIMIT_MS');

const MCP_CODE = constant(`${MCP}/tools/allowed.ts`, 'DEFAULT_SECONDS') / SECOND;
const MCP_TEXT = constant(`${MCP}/result.ts`, 'MAX_RESULT_CHARS');
const MCP_WAIT = constant(`${MCP}/run.ts`, 'MAX_WAIT_SECONDS');
const MCP_TOOLS = readPage(`${MCP}/mcpHandler.ts`).match(/^ {4}\w+(\(allowed\))?,$/gm)?.length ?? 0;

const DURABLE = 'execute over HTTP, durable';
const CALL = bench(`execute: 1+1 to a stock kernel: ${DURABLE}`);
const [OF_ONE, OF_EIGHT, OF_MANY] = [perSecond(1), perSecond(8), perSecond(25)];
const IDLE_WORKER = bench('density: PSS of each, 4 of both alive: worker');
const RECOVERY = bench('recovery: 100000 events, 10 sessions: to the first answer, p50');
const EXECUTION = bench('events: growth per execution, all tables');
/** What docs/run/sizing.md supposes: the pause between two cells of a session, and the CPUs of the benches. */
const [PAUSE, CPUS] = [10 * SECOND, 2];

const { info = 0, warn = 0, error = 0 } = pino.levels.values;

const FIGURES: Readonly<Record<string, readonly Row[]>> = {
  'README.md': [
    ['Sessions run on for {}, and a server', setting('WORKER_ORPHAN_TIMEOUT_MS')],
    ['For {}, you may repeat the call', setting('IDEMPOTENCY_TTL_MS')],
    ['after {} without use, and after {} at the latest', IDLE, LIFE],
    ['If port {} is taken', setting('PORT')],
    ['more than {} ways', atMost(probes().length - 1)],
    [
      '| {} faults: nothing lost, done twice or left over | `npm run chaos -- --minutes 30 --seed 20261126` |',
      found(
        'docs/internals/failure-modes.md',
        /`npm run chaos -- --minutes 30 --seed 20261126`[\s\S]*^`(\d+) faults, 0 lost, 0 doubled, 0 orphans`/m,
      ),
    ],
    ['10 sessions and {} events | {} | `npm run bench -- recovery`', 100_000, RECOVERY],
    [
      'an idle worker is ready | {} | `npm run bench -- session-start`',
      bench('session-start: the first of a new user: more than one in a session, p50'),
    ],
    [
      'a fresh kernel | {} (a stock kernel: {}) | `npm run bench -- restart`',
      bench('restart: by the user: worker, asked'),
      bench('restart: by the user: stock kernel, by its own manager'),
    ],
    ['second, 25 users at once | {} | `npm run bench -- throughput`', OF_MANY],
    [
      "recorded | {} (Jupyter's client on a stock kernel: {}) | `npm run bench -- execute`",
      CALL,
      bench("execute: 1+1 to a stock kernel: stock ipykernel's own client"),
    ],
    [
      'imported | {} (a stock kernel: {}) | `npm run bench -- density`',
      IDLE_WORKER,
      bench('density: PSS of each, 4 of both alive: stock kernel'),
    ],
  ],
  'docs/run/access.md': [
    [
      'Within {} after a token is revoked',
      roundedUp(constant(TOKENS, 'STALE_MS') + constant(TOKENS, 'POLL_INTERVAL_MS')),
    ],
  ],
  'docs/run/alerts.md': [
    ['Calls fail with `DATABASE_UNAVAILABLE` after {}.', COMMIT],
    ['Calls are slow, or fail after {}.', COMMIT],
    ['PostgreSQL does not answer within {}.', constant(DATABASE, 'LEASE_LIMITS.answerTimeoutMs')],
    [
      'tries again at least every {}.',
      constant('src/pool/supply/missingWorkers.ts', 'BACK_OFF.maxMs'),
    ],
  ],
  'docs/run/audit.md': [
    [
      'at most {} connections, and {} for a query',
      constant(AUDITOR, 'MAX_CONNECTIONS'),
      constant(AUDITOR, 'STATEMENT_TIMEOUT_MS'),
    ],
    ['in the last {}, day by day', DAY * found('docs/run/audit.md', /::date - (\d+)/)],
    ['Every {}, a gateway adds hashes', SEAL],
    ['Once {}, each gateway writes', DAY],
    ['in the chain (about {})', SEAL],
  ],
  'docs/run/backup.md': [
    [
      'at about {}:00, and keeps seven',
      found('src/cli/systemdUnits.ts', /--keep 7\n[\s\S]*OnCalendar=\*-\*-\* 0(\d):00/),
    ],
  ],
  'docs/run/database.md': [
    // Beside the reads: commits, leases, tokens, news, and at times a long read.
    ['opens up to {} connections', constant(DATABASE, 'READ_CONNECTIONS') + 5],
    ['ended more than {} ago', DAY * found('docs/run/database.md', /--older-than-days (\d+)/)],
    [
      'without code ({} for each execution)',
      about(bench('events: growth per execution, executions')),
    ],
    ['`DATABASE_UNAVAILABLE` after {}, and output', COMMIT],
  ],
  'docs/run/egress.md': [
    [
      'on the ports {} and {} |',
      found('src/domain/egress.ts', /^const DEFAULT_PORTS.* = \[(\d+), \d+\]/m),
      found('src/domain/egress.ts', /^const DEFAULT_PORTS.* = \[\d+, (\d+)\]/m),
    ],
    ['{} different pairs of host and port in a minute', constant(EGRESS, 'MAX_ALLOWED_KEYS')],
    [
      'resolves only {} names at a time',
      constant('src/egress/createLookup.ts', 'SYSTEM.maxRunning'),
    ],
    ['a session has at most {} different rows in a minute', constant(EGRESS, 'MAX_REFUSED_KEYS')],
  ],
  'docs/run/environments.md': [
    [
      '{} to {} of the characters',
      1,
      constant('src/service/sessions/validateOptions.ts', 'MAX_ENVIRONMENT_NAME_CHARS'),
    ],
    ['at most {} archives and {}.', constant(RECIPE, 'MAX_FILES'), constant(RECIPE, 'MAX_GIB')],
    ['After {} failures, the gateway', constant('src/environments/upkeep.ts', 'MAX_FAILURES')],
  ],
  'docs/run/forget.md': [
    ['for a minute or {}.', DAY],
    ['keep output for {}, and', constant('src/events/outputs/freshOutputs.ts', 'MAX_AGE_MS')],
  ],
  'docs/run/gateways.md': [
    ['Within {}, another gateway', TAKE_OVER],
    ['It ends within {}.', roundedUp(STOP)],
    ['{} after SIGTERM, the gateway', constant(SERVER, 'DRAIN_TIMEOUT_MS')],
  ],
  'docs/run/install.md': [
    [
      'about {} for gateway and PostgreSQL, and {} for each of {} idle workers',
      GATEWAY_MEMORY,
      IDLE_WORKER,
      setting('MIN_IDLE_WORKERS'),
    ],
    ['{} for program and worker image', constant(MACHINE, 'LOW_BYTES')],
    ['ends only the server, within {}.', roundedUp(STOP)],
  ],
  'docs/run/isolation.md': [
    ['{} open files a process', constant(CONTAINER, 'MAX_OPEN_FILES')],
    [
      '[{}](sizing.md#what-it-costs) | about {} more. The limit is raised by {}',
      IDLE_WORKER,
      constant(MACHINE, 'IDLE_GVISOR_MB'),
      SANDBOX_MEMORY,
    ],
  ],
  'docs/run/metrics.md': [
    ['answered this scrape within {}.', constant(DATABASE, 'PING_TIMEOUT_MS')],
    ['counted, at most {} ago', SEAL],
    [
      'the sampling interval of {}.',
      constant('src/process/servingProcess.ts', 'LOOP_RESOLUTION_MS'),
    ],
  ],
  'docs/run/monitoring.md': [
    // A range of an alert needs two scrapes.
    ['**Scrape interval**: {} or less', shortestRange() / 2],
    ['is {} for information, {} for a warning and {} for an error', info, warn, error],
  ],
  'docs/run/proxy.md': [
    [
      '`proxy_read_timeout {}`',
      atLeast(constant('src/config/executions.ts', 'MAX_AGENT_LIMIT_MS')),
    ],
    ['closes idle connections after {}.', constant(SERVER, 'KEEP_ALIVE_TIMEOUT_MS')],
    ['- `keepalive {}`', atMost(constant(SERVER, 'KEEP_ALIVE_TIMEOUT_MS'))],
  ],
  'docs/run/service.md': [
    ['If that file has more than {}', constant('src/postgres/server.ts', 'MAX_LOG_BYTES')],
  ],
  'docs/run/sizing.md': [
    ['| memory of an idle worker | {} | `npm run bench -- density`', IDLE_WORKER],
    [
      'context of a session | {} | `npm run bench -- contexts`',
      bench('contexts: PSS of each, 4 in each of 3 workers: each further context'),
    ],
    ['over HTTP | {} | `npm run bench -- execute`', CALL],
    ['compared with runc | {}x | `npm run bench -- isolation`', bench('isolation: 1+1')],
    [
      'by 1, 8 and 25 users at once | {}, {} and {} | `npm run bench -- throughput`',
      OF_ONE,
      OF_EIGHT,
      OF_MANY,
    ],
    [
      'without an idle worker | {} | `npm run bench -- session-start`',
      bench('session-start: with no idle worker: a new user'),
    ],
    [
      'output to a subscriber | {}/s | `npm run bench -- stream`',
      bench(
        'stream: 10 MB as lines of 100 bytes, to a subscriber of the gateway: to a subscriber of the gateway',
      ),
    ],
    ['with one output event | {} | `npm run bench -- events`', EXECUTION],
    ['with 10 sessions to the first answer | {} | `npm run bench -- recovery`', RECOVERY],
    ['a small cell every {}.', PAUSE],
    ['Gateway and PostgreSQL need {}, more', GATEWAY_MEMORY],
    ['| | {} sessions | {} sessions |', 100, 1_000],
    [
      'sessions x {} | {} | {} |',
      IDLE_WORKER,
      about(100 * IDLE_WORKER),
      about(1_000 * IDLE_WORKER),
    ],
    ['executions a second | {} | {} |', cellsPerSecond(100), cellsPerSecond(1_000)],
    [
      '({} cores do {} a second) | {} | {} |',
      CPUS,
      OF_MANY,
      about((CPUS * cellsPerSecond(100)) / OF_MANY),
      about((CPUS * cellsPerSecond(1_000)) / OF_MANY),
    ],
    [
      'disk {}, at {} for each execution | {} | {} |',
      DAY,
      about(EXECUTION),
      about(diskPerDay(100)),
      about(diskPerDay(1_000)),
    ],
    [
      'machine | {}, two cores | {}, four cores |',
      atLeast(100 * IDLE_WORKER + GATEWAY_MEMORY),
      atLeast(1_000 * IDLE_WORKER + GATEWAY_MEMORY),
    ],
    [
      '{} sessions on one engine, and {} executions',
      found(REPORT, /executions in (\d+) sessions/),
      10 ** found(REPORT, /10\^5 and 10\^(\d) past executions/),
    ],
    [
      'this is {} x ({} + {}) MiB = {}.',
      setting('MAX_TOTAL_WORKERS'),
      setting('WORKER_MEMORY_MB') / MIB,
      setting('WORKER_DISK_MB') / MIB,
      setting('MAX_TOTAL_WORKERS') * (setting('WORKER_MEMORY_MB') + setting('WORKER_DISK_MB')),
    ],
    ['Under gVisor, add {} for each worker', SANDBOX_MEMORY],
  ],
  'docs/run/standby.md': [['`DATABASE_UNAVAILABLE` after {}, unless', COMMIT]],
  'docs/run/troubleshooting.md': [
    ['and ends within {}.', constant('src/doctor/doctor.ts', 'DOCTOR_LIMIT_MS')],
    ['calls fail after {} |', COMMIT],
    ['replaces a dead one within {}]', TAKE_OVER],
  ],
  'docs/run/upgrade.md': [
    [
      'takes more than {} (`--ready-within',
      constant('src/cli/service.ts', 'DEFAULT_READY_WITHIN_S'),
    ],
  ],
  'docs/use/contexts-and-commands.md': [
    ['(up to {})', setting('MAX_COMMAND_TIMEOUT_MS')],
    ['after the grace time ({})', setting('INTERRUPT_GRACE_MS')],
  ],
  'docs/use/doors/README.md': [
    ['a ping every {}, and', PING],
    ['nothing comes from it for {}.', constant(SOCKETS, 'SILENCE_LIMIT_MS')],
    ['at most {} WebSockets', constant('src/server/doors/doorSockets.ts', 'MAX_SOCKETS_OF_TOKEN')],
  ],
  'docs/use/doors/e2b.md': [
    ['{} by default', constant('src/doors/e2b/control/newSandbox.ts', 'DEFAULT_TIMEOUT_SECONDS')],
  ],
  'docs/use/doors/jupyter.md': [
    ['takes longer than {}.', constant('src/service/contexts/kernels.ts', 'ANSWER_LIMIT_MS')],
    [
      'messages of the last {} may come twice',
      constant('src/doors/jupyter/requestQueue.ts', 'INTERVAL_MS') +
        constant('src/service/output/contextReaders.ts', 'RECORD_INTERVAL_MS'),
    ],
  ],
  'docs/use/doors/mcp.md': [
    [
      '`timeout_seconds` ({} to {}, by default {}), `wait_seconds` (0 to {}, by default {})',
      1,
      setting('MAX_EXECUTION_TIMEOUT_MS') / SECOND,
      MCP_CODE,
      MCP_WAIT / SECOND,
      constant(`${MCP}/run.ts`, 'DEFAULT_WAIT_SECONDS') / SECOND,
    ],
    [
      '`timeout_seconds` ({} to {}, by default {}), `wait_seconds` |',
      1,
      constant(`${MCP}/tools/allowed.ts`, 'MAX_COMMAND_SECONDS') / SECOND,
      MCP_CODE,
    ],
    ['`depth` (1 to {})', constant(`${MCP}/tools/files.ts`, 'MAX_DEPTH')],
    ['`files` (at most {})', constant(`${MCP}/tools/files.ts`, 'MAX_ENTRIES')],
    ['get it every {}, with', constant(`${MCP}/run.ts`, 'INTERVAL_MS')],
    [
      'at most {} characters of text, and {} images of {} in base64',
      MCP_TEXT,
      constant(`${MCP}/result.ts`, 'MAX_IMAGES'),
      constant(`${MCP}/result.ts`, 'MAX_IMAGE_CHARS'),
    ],
    [
      '`read_file` gives {} of text at a time, or {} with',
      MCP_TEXT,
      constant(`${MCP}/tools/files.ts`, 'MAX_BINARY_BYTES'),
    ],
  ],
  'docs/use/doors/predecessor.md': [
    ['the time limit of {} is `EXECUTION_TIMEOUT_MS`', setting('EXECUTION_TIMEOUT_MS')],
    [
      'Calls wait up to {} for a worker',
      constant('src/doors/predecessor/predecessorDoor.ts', 'MAX_WAIT_FOR_WORKER_MS'),
    ],
  ],
  'docs/use/errors-and-limits.md': [
    [
      '; up to {} on a busy machine',
      setting('INTERRUPT_GRACE_MS') * constant(`${AGENT}/processes/grace.py`, 'MAX_STRETCH'),
    ],
    ['if it does not answer | {} |', constant(DATABASE, 'RETRY_LIMIT_MS')],
    ['a command: {} |', constant('src/service/execute/validateRequest.ts', 'MAX_COMMAND_BYTES')],
    ['{} for each call', constant('src/service/execute/sendInput.ts', 'MAX_CALL_BYTES')],
    [
      'one output | {} of text (longer text is split), {} of',
      constant(`${AGENT}/executions/outputs.py`, 'MAX_STREAM_PIECE_BYTES'),
      constant(`${AGENT}/gateway/server.py`, 'MAX_FRAME_BYTES'),
    ],
    ['{} list items', constant('src/service/answer/answer.ts', 'MAX_LIST_ITEMS')],
    [
      'a path | {}, and {} for each name',
      constant('src/domain/filePath.ts', 'MAX_PATH_BYTES'),
      constant('src/domain/filePath.ts', 'MAX_NAME_BYTES'),
    ],
    [
      'operations on one WebSocket | {} |',
      constant('src/server/webSocket/webSocketOperations.ts', 'MAX_OPERATIONS_PER_CONNECTION'),
    ],
  ],
  'docs/use/files.md': [
    [
      'more than {} files and folders, or that more than {} have changed',
      constant(`${HOME}/home_tree.py`, 'MAX_ENTRIES'),
      constant(`${HOME}/home_changes.py`, 'MAX_CHANGES'),
    ],
    ['waits up to {} for a worker', setting('WORKER_WAIT_TIMEOUT_MS')],
    ['sends nothing for {}, and', constant(`${AGENT}/files/connection.py`, 'SILENCE_SECONDS')],
  ],
  'docs/use/history.md': [
    ['`first` is at most {}.', constant('src/service/lists/lists.ts', 'MAX_PAGE_SIZE')],
  ],
  'docs/use/integrations.md': [
    ['the model gets [{} tools]', MCP_TOOLS],
    ['Let the framework wait {} for a tool', atLeast(MCP_WAIT)],
  ],
  'docs/use/interfaces.md': [['[MCP](doors/mcp.md): {} tools', MCP_TOOLS]],
  'docs/use/patterns.md': [
    ['holds a worker for {}, or', IDLE],
    ['Cells may take {};', setting('MAX_EXECUTION_TIMEOUT_MS')],
    ['may take {}.', setting('MAX_COMMAND_TIMEOUT_MS')],
    ['ends after {} without other use', IDLE],
    ['ends after {}, or up to {} with', LIFE, setting('LONGEST_SESSION_LIFE_MS')],
  ],
  'docs/use/streaming.md': [
    ['no `connection_init` within {})', constant(SOCKETS, 'INIT_TIMEOUT_MS')],
    // By WebSocket a ping, and by server-sent events the comment that Yoga sends.
    [
      'sends something at least every {}.',
      Math.max(
        PING,
        found(
          'node_modules/graphql-yoga/cjs/plugins/result-processor/sse.js',
          /pingIntervalMs = ([\d_]+)/,
        ),
      ),
    ],
    ['Nothing came for {}.', 3 * PING],
  ],
};

it.each(PAGES)('%s has the figures of the program, and no others', (page) => {
  const { wrong, unexplained } = checkFigures(readPage(page), FIGURES[page] ?? []);
  expect({ wrong, unexplained }).toEqual({ wrong: [], unexplained: [] });
});

it('docs/internals/security.md has the memory that gVisor needs', () => {
  const row: Row = [
    'about {} more than under runc, so its limit is {} higher',
    constant(MACHINE, 'IDLE_GVISOR_MB'),
    SANDBOX_MEMORY,
  ];
  expect(checkFigures(readPage('docs/internals/security.md'), [row]).wrong).toEqual([]);
});

it('doctor reckons with the memory of an idle worker that the benches have measured', () => {
  const more = found(REPORT, /gVisor adds to a new worker \| (\d+) MiB/);
  expect(constant(MACHINE, 'IDLE_WORKER_MB')).toBe(IDLE_WORKER);
  expect(constant(MACHINE, 'IDLE_GVISOR_MB')).toBe(Number(more.toPrecision(2)) * MIB);
});

it('finds the settings beside their figures', () => {
  const pairs = PAGES.map((page) => checkFigures(readPage(page), []).pairs);
  expect(pairs.reduce((sum, each) => sum + each)).toBeGreaterThanOrEqual(30);
});

function pagesIn(folder: string): string[] {
  const names = readdirSync(ROOT + folder).filter((name) => name.endsWith('.md'));
  return names.filter((name) => !GENERATED.includes(name)).map((name) => `${folder}/${name}`);
}

function probes(): string[] {
  const names = TIERS.flatMap((tier) => probeThemes().flatMap((theme) => probeNames(theme, tier)));
  return [...new Set(names)];
}

/** Small executions a second, by so many users at once. */
function perSecond(users: number): number {
  return bench(`throughput: small cells, ${users} at once, to the kernels alone: ${DURABLE}`);
}

function cellsPerSecond(sessions: number): number {
  return (sessions * SECOND) / PAUSE;
}

function diskPerDay(sessions: number): number {
  return (cellsPerSecond(sessions) * EXECUTION * DAY) / SECOND;
}

/** The shortest range of an alert, in ms. */
function shortestRange(): number {
  const ranges = readPage('monitoring/cellhouse-alerts.yml').matchAll(/\[(\d+)m\]/g);
  return Math.min(...[...ranges].map(([, minutes]) => Number(minutes))) * 60 * SECOND;
}
