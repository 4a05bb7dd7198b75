/** One gateway with a supervisor, which starts it again whenever its process has ended, as a service manager would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { pause } from '../../src/async/pause.ts';
import { until } from '../../testkit/until.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
/** Pause between starts. A start fails and is repeated while the database is away. */
const RESTART_PAUSE_MS = 500;
const READY_LIMIT_MS = 60_000;
const READY_ANSWER_LIMIT_MS = 2_000;
/** Longer than a stop: a gateway drains for up to 7 s and ends after 9.5 s at the latest. */
const STOP_LIMIT_MS = 20_000;

export interface Gateway {
  readonly index: number;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  /** Null while the gateway is not running. */
  readonly pid: number | null;
  /** Sends a signal, if the gateway is running. If it ends after SIGTERM or SIGKILL, that does not count as a crash. */
  signal(name: NodeJS.Signals): void;
  /** Keeps the supervisor from starting the gateway again, until `resume`. */
  hold(): void;
  resume(): void;
  /** Whether /readyz answers that it is ready. */
  isReady(): Promise<boolean>;
  untilReady(): Promise<void>;
  /** Sends SIGTERM and ends the supervisor. Resolves with the exit code or signal. */
  stop(): Promise<number | string>;
  /** Kills the gateway. Idempotent. */
  close(): Promise<void>;
}

export interface GatewayDeps {
  readonly index: number;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Called when the gateway had been ready and then ended by itself. */
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
        await pause(RESTART_PAUSE_MS, closing.signal);
      }
    }
  }

  /** Starts the gateway and resolves when it has ended. */
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
    while (child === started && !(await isReady())) await pause(RESTART_PAUSE_MS);
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
