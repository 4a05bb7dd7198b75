/**
 * `cellhouse doctor`: examines an installation, with or without a running gateway. It changes nothing, except that it
 * makes one worker and removes it. Everything that it asks has a time limit, so it ends within {@link DOCTOR_LIMIT_MS}.
 *
 * ```
 *  is a gateway running? --> engine, database, gateway and port, backups, memory, limits, permissions, proxy (in parallel)
 *                              |        |
 *                              +--------+--> the same engine?, disks, clock, a real worker (in parallel)
 * ```
 */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Logger } from 'pino';
import { z } from 'zod';
import { within } from '../async/within.ts';
import type { Config } from '../config/config.ts';
import { messageOf } from '../domain/errors.ts';
import { type LiveGateway, liveGateway } from '../process/gatewayLock.ts';
import { listen, listeningProcess } from '../server/http/listen.ts';
import {
  checkDatabase,
  type DatabaseReport,
  judgePool,
  judgeRuntimes,
  UNREAD,
} from './database.ts';
import { checkEngine, checkWorker, type EngineReport, judgeSameEngine } from './engine.ts';
import { type Finding, failure, failureSaying, limited, ok, unknown, warning } from './finding.ts';
import {
  checkBackup,
  checkClock,
  checkDisks,
  checkHistory,
  checkLimits,
  checkMemory,
  checkPermissions,
  judgeNode,
} from './machine.ts';
import { judgeEgress, judgeHost, judgeQuotas, judgeSharing } from './policy.ts';
import { checkProxy, PROXY_CHECKS } from './proxy.ts';
import { CHECKS, type CheckId } from './troubles.ts';

/** The sum of the longest limits of consecutive steps, and some seconds for steps without a limit. */
export const DOCTOR_LIMIT_MS = 60_000;
const ENGINE_LIMIT_MS = 8_000;
const DATABASE_LIMIT_MS = 15_000;
const MACHINE_LIMIT_MS = 10_000;
/** The gateway's first answer, a stream's first event and its silence take at most 25 s (proxy.ts). */
const PROXY_LIMIT_MS = 30_000;
/** 25 s for a worker to start and to answer (engine.ts), and the time to remove it. */
const WORKER_LIMIT_MS = 35_000;
const READY_LIMIT_MS = 4_000;
const LIVE_LIMIT_MS = 3_000;
/** Docker makes this file in each container. */
const IN_CONTAINER = '/.dockerenv';

export interface DoctorDeps {
  readonly config: Config;
  /** WORKER_IMAGE, or the name under which `npm start` builds the image. Null: it is not known here. */
  readonly workerImage: string | null;
  /** Where a gateway with these settings listens. */
  readonly gatewayUrl: string;
  /** The address of the proxy, and a token of an operator, or why there is none. Null: no proxy is checked. */
  readonly proxy: { readonly url: string; readonly token: string | Error } | null;
  readonly logger: Logger;
}

/** All findings, in the order of {@link CHECKS}. */
export async function examine(deps: DoctorDeps): Promise<Finding[]> {
  const { config, proxy } = deps;
  const gateway = await within(LIVE_LIMIT_MS, findGateway(config.dataDir), () => SILENT);
  const proxyFindings =
    proxy === null
      ? []
      : limited(PROXY_CHECKS, PROXY_LIMIT_MS, () => checkProxy({ ...proxy, config }));
  const machine = Promise.all([
    limited(['backup'], MACHINE_LIMIT_MS, async () => [checkBackup(config, new Date())]),
    limited(['history'], MACHINE_LIMIT_MS, async () => [checkHistory(config.dataDir)]),
    limited(['memory'], MACHINE_LIMIT_MS, () => checkMemory(config)),
    limited(['limits'], MACHINE_LIMIT_MS, () => checkLimits(config, ownPid(gateway))),
    limited(['permissions'], MACHINE_LIMIT_MS, () => checkPermissions(config)),
    limited(['gateway', 'port'], MACHINE_LIMIT_MS, () => checkGateway(deps, gateway)),
  ]);
  const [{ engine, findings: engineFindings }, { pool, clock, use, findings: databaseFindings }] =
    await Promise.all([
      engineReport(config),
      databaseReport(config, 'live' in gateway || gateway === SILENT),
    ]);
  const [disks, clocks, worker] = await Promise.all([
    limited(['disks'], MACHINE_LIMIT_MS, () => checkDisks(config, engine?.dataRoot ?? null)),
    limited(['clock'], MACHINE_LIMIT_MS, () => checkClock(clock)),
    workerFindings(deps, engine, pool),
  ]);
  const findings = [
    ...engineFindings,
    ...databaseFindings,
    judgeSameEngine(config, { engine, pool }),
    ...judgeRuntimes(use, config.dockerRuntime),
    judgePool(use, config.maxTotalWorkers),
    judgeHost(config, existsSync(IN_CONTAINER)),
    ...judgeSharing(use),
    judgeQuotas(config, use),
    judgeEgress(config),
    judgeNode(process.versions.node, new Date()),
    ...disks,
    ...clocks,
    ...worker,
    ...(await machine).flat(),
    ...(await proxyFindings),
  ];
  return [...findings, ...notReached(findings)].sort(
    (a, b) => CHECKS.indexOf(a.check) - CHECKS.indexOf(b.check),
  );
}

/** `unknown` for each check that has no finding, because a check before it failed unexpectedly. */
function notReached(findings: readonly Finding[]): Finding[] {
  const isHere = (check: CheckId) => check !== 'settings' && !check.startsWith('proxy');
  const silent = CHECKS.filter((check) => !findings.some((finding) => finding.check === check));
  const found = 'Not checked, because a check before it failed.';
  return silent.filter(isHere).map((check) => unknown(check, found));
}

/** The gateway on this DATA_DIR: it answers; none runs; or it could not be asked, and `finding` says why. */
type FoundGateway =
  | { readonly live: LiveGateway }
  | { readonly none: true }
  | { readonly finding: Finding };

/** A gateway has the socket of DATA_DIR, but says nothing: it hangs. */
const SILENT: FoundGateway = {
  finding: failureSaying('gatewaySilent', 'The live gateway does not answer.'),
};

async function findGateway(dataDir: string): Promise<FoundGateway> {
  try {
    const live = await liveGateway(dataDir);
    return live === null ? { none: true } : { live };
  } catch (error: unknown) {
    // A system error, such as EACCES: this user cannot reach the gateway's socket.
    if (error instanceof Error && 'code' in error)
      return {
        finding: unknown('gateway', `Not checked: this user cannot ask it (${error.message}).`),
      };
    return SILENT;
  }
}

/** The gateway's process, if its limits can be read here. */
function ownPid(gateway: FoundGateway): number | null {
  return 'live' in gateway && gateway.live.isOfThisNamespace ? gateway.live.pid : null;
}

/** The report. If the check fails or is too slow, the report says so, and has no engine. */
async function engineReport(config: Config): Promise<EngineReport> {
  let report: EngineReport | null = null;
  const findings = await limited(['engine'], ENGINE_LIMIT_MS, async () => {
    report = await checkEngine(config);
    return report.findings;
  });
  return report ?? { engine: null, findings };
}

async function databaseReport(config: Config, isServing: boolean): Promise<DatabaseReport> {
  let report: DatabaseReport | null = null;
  const findings = await limited(['database'], DATABASE_LIMIT_MS, async () => {
    report = await checkDatabase(config, isServing);
    return report.findings;
  });
  return report ?? { ...UNREAD, findings, clock: null };
}

async function workerFindings(
  { config, workerImage, logger }: DoctorDeps,
  engine: EngineReport['engine'],
  pool: DatabaseReport['pool'],
): Promise<readonly Finding[]> {
  const checks = ['image', 'worker', 'walls'] as const;
  if (engine === null)
    return checks.map((check) =>
      unknown(check, 'Not checked, because the engine does not answer.'),
    );
  if (workerImage === null)
    return checks.map((check) =>
      unknown(check, 'Not checked: set WORKER_IMAGE as the gateway has it.'),
    );
  return await limited(checks, WORKER_LIMIT_MS, () =>
    checkWorker({ config, workerImage, engine, pool, logger }),
  );
}

/** Whether a gateway serves here, and whether the port is its own or free. */
async function checkGateway(
  { config, gatewayUrl }: DoctorDeps,
  gateway: FoundGateway,
): Promise<Finding[]> {
  const { host, port } = config;
  if (!('live' in gateway)) {
    const free = port === 0 ? ok('port', ANY_PORT) : await checkFree(host, port);
    if ('none' in gateway) return [ok('gateway', 'No gateway runs on this DATA_DIR.'), free];
    const isPerhapsItsOwn = free.trouble === 'portTaken';
    const taken = `Port ${port} on ${host} is in use, perhaps by that gateway.`;
    return [gateway.finding, isPerhapsItsOwn ? unknown('port', taken) : free];
  }
  const { live } = gateway;
  if (port === 0)
    return [unknown('gateway', `A gateway runs on DATA_DIR (process ${live.pid}). ${ANY_PORT}`)];
  const owner = listeningProcess(port);
  const isOther =
    owner !== null && live.isOfThisNamespace && !owner.startsWith(`process ${live.pid} `);
  if (isOther)
    return [
      unknown('gateway', `A gateway runs on DATA_DIR (process ${live.pid}), on another port.`),
      failureSaying('portTaken', `Port ${port} on ${host} is in use by ${owner}.`),
    ];
  const ready = await checkReady(gatewayUrl, live);
  const isItsOwn = owner !== null && live.isOfThisNamespace;
  return [
    ready,
    isItsOwn || ready.trouble !== 'gatewaySilent'
      ? ok('port', `Port ${port} is the gateway's.`)
      : unknown('port', `Not checked: no gateway answers on port ${port}.`),
  ];
}

const ANY_PORT = 'PORT is 0, so any free port is taken.';

async function checkFree(host: string, port: number): Promise<Finding> {
  const server = createServer();
  try {
    await listen(server, host, port);
    return ok('port', `Port ${port} on ${host} is free.`);
  } catch (error: unknown) {
    const message = messageOf(error);
    return failureSaying(message.includes('is in use') ? 'portTaken' : 'portRefused', message);
  } finally {
    server.close();
  }
}

/** What a gateway answers at /readyz. */
const readySchema = z.object({ status: z.string(), reasons: z.array(z.string()) });

async function checkReady(url: string, { pid }: LiveGateway): Promise<Finding> {
  let said: z.infer<typeof readySchema>;
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(READY_LIMIT_MS) });
    const parsed = readySchema.safeParse(await answer.json());
    if (!parsed.success)
      return failure('gatewaySilent', pid, url, 'what answers there is no gateway');
    said = parsed.data;
  } catch (error: unknown) {
    return failure('gatewaySilent', pid, url, messageOf(error));
  }
  const reasons = said.reasons.join(' ');
  switch (said.status) {
    case 'ready':
      return ok('gateway', `The gateway at ${url} is ready (process ${pid}).`);
    case 'degraded':
      return warning('gatewayDegraded', url, reasons);
    default:
      return failure('gatewayNotReady', url, reasons);
  }
}
