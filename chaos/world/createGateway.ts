/** One gateway under a supervisor: whenever its process has ended, it is started again, as a service manager would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../testkit/until.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
/** A start that fails because the database is away is repeated so often. */
const RESTART_PAUSE_MS = 500;
const READY_LIMIT_MS = 60_000;
const READY_ANSWER_LIMIT_MS = 2_000;
/** A gateway drains for 7 s and ends at the latest after 9.5 s. */
const STOP_LIMIT_MS = 20_000;

export interface Gateway {
  readonly index: number;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  /** Null while it does not run. */
  readonly pid: number | null;
  /** Sends a signal; nothing happens while it does not run. An end by it is one that was wanted. */
  signal(name: NodeJS.Signals): void;
  /** Keeps the supervisor from starting it again, until `resume`. */
  hold(): void;
  resume(): void;
  /** Whether /readyz says so now. */
  isReady(): Promise<boolean>;
  untilReady(): Promise<void>;
  /** SIGTERM, then no further start. Resolves with how it ended. */
  stop(): Promise<number | string>;
  /** Ends it at once. Idempotent. */
  close(): Promise<void>;
}

export interface GatewayDeps {
  readonly index: number;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** It had been ready, and ended though nobody wanted it to. */
  readonly onCrash: (how: string) => void;
}

export function createGateway({ index, port, env, logFile, onCrash }: GatewayDeps): Gateway {
  const url = `http://127.0.0.1:${port}`;
  const closing = new AbortController();
  let child: ChildProcess | null = null;
  let isHeld = false;
  let wake: () => void = () => undefined;

  async function supervise(): Promise<void> {
    while (!closing.signal.aborted) {
      if (isHeld) await new Promise<void>((resolve) => (wake = resolve));
      else {
        await runOnce();
        await delay(RESTART_PAUSE_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  /** @returns how it ended */
  async function runOnce(): Promise<void> {
    const log = openSync(logFile, 'a');
    const started = spawn(process.execPath, [CLI, 'serve'], {
      env,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child = started;
    wanted = false;
    wasReady = false;
    void noteWhenReady(started);
    const [code, signal] = await once(started, 'exit');
    end = signal ?? code;
    child = null;
    if (wasReady && !wanted) onCrash(String(end));
  }

  let wanted = false;
  let wasReady = false;
  let end: number | string = 0;

  async function noteWhenReady(started: ChildProcess): Promise<void> {
    while (child === started && !(await isReady())) await delay(RESTART_PAUSE_MS);
    if (child === started) wasReady = true;
  }

  async function isReady(): Promise<boolean> {
    const signal = AbortSignal.timeout(READY_ANSWER_LIMIT_MS);
    const answer = await fetch(`${url}/readyz`, { signal }).catch(() => null);
    await answer?.body?.cancel();
    return answer?.ok ?? false;
  }

  function signal(name: NodeJS.Signals): void {
    if (child === null) return;
    if (name === 'SIGTERM' || name === 'SIGKILL') wanted = true;
    child.kill(name);
  }

  async function finish(name: NodeJS.Signals): Promise<void> {
    closing.abort();
    wake();
    signal('SIGCONT');
    signal(name);
    await until(`gateway ${index} has ended`, async () => child === null, STOP_LIMIT_MS);
  }

  const supervised = supervise();
  return {
    index,
    url,
    env,
    get pid() {
      return child?.pid ?? null;
    },
    signal,
    hold: () => {
      isHeld = true;
    },
    resume: () => {
      isHeld = false;
      wake();
    },
    isReady,
    untilReady: async () => {
      await until(`gateway ${index} is ready`, isReady, READY_LIMIT_MS);
    },
    stop: async () => {
      await finish('SIGTERM');
      return end;
    },
    close: async () => {
      await finish('SIGKILL');
      await supervised;
    },
  };
}
