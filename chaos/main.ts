/** `npm run chaos [-- --minutes N --seed S --gateways G --users U]`. Exits with 0 only if there is no violation. */
import { setMaxListeners } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory } from './check/checkHistory.ts';
import type { History } from './history.ts';
import { parseOptions } from './options.ts';
import {
  accessTried,
  doorsUsed,
  eventsVerified,
  faultTable,
  quotasHit,
  summary,
  workDone,
} from './report.ts';
import { runChaos } from './runChaos.ts';

const MAX_SEED = 2 ** 32 - 1;
/** How many violations are printed: enough to see what is wrong. The whole history is kept. */
const MAX_SHOWN = 30;
/** 128 + SIGINT, which is the convention of shells. */
const INTERRUPTED = 130;

const workerImage = process.env.WORKER_IMAGE;
if (!workerImage) throw new Error('WORKER_IMAGE is not set. npm run chaos sets it.');
if (process.getuid?.() !== 0) throw new Error('npm run chaos needs root, to start its own engine.');

const options = parseOptions(process.argv.slice(2), Math.floor(Math.random() * MAX_SEED));
const say = (line: string) => console.log(line);
say(
  `seed ${options.seed}, ${options.minutes} minutes, ${options.gateways} gateways, ${options.users} users`,
);

const interruption = new AbortController();
// Every wait in the run adds a listener, so Node's warning about many listeners is turned off.
setMaxListeners(0, interruption.signal);
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interruption.abort());

// JupyterLab's client prints a line for each broken connection. When it gives up a connection, it lets promises reject
// without a handler.
for (const name of ['debug', 'warn'] as const) console[name] = () => undefined;
process.on('unhandledRejection', (reason) => {
  if (!(reason instanceof Error && reason.stack?.includes('/@jupyterlab/services/'))) throw reason;
});

try {
  const history = await runChaos({
    options,
    workerImage,
    signal: interruption.signal,
    say,
    onLogs,
  });
  const violations = checkHistory(history);
  for (const line of faultTable(history)) say(line);
  say(workDone(history));
  say(doorsUsed(history));
  say(accessTried(history));
  say(quotasHit(history));
  say(eventsVerified(history));
  for (const mishap of history.mishaps) say(`the run itself: ${mishap}`);
  for (const { type, what } of violations.slice(0, MAX_SHOWN)) say(`${type}: ${what}`);
  if (violations.length > MAX_SHOWN) say(`and ${violations.length - MAX_SHOWN} more`);
  say(summary(history, violations));
  process.exitCode = violations.length + history.mishaps.length === 0 ? 0 : 1;
} catch (error: unknown) {
  if (!interruption.signal.aborted) throw error;
  say('interrupted; everything is cleaned up');
  process.exitCode = INTERRUPTED;
}

/** Keeps the history and the logs of a run in which the checker found a violation. */
async function onLogs(history: History, root: string): Promise<void> {
  if (checkHistory(history).length === 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'ch-chaos-found-'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'history.json'), JSON.stringify(history));
  for (const name of readdirSync(root).filter((each) => each.endsWith('.log'))) {
    cpSync(join(root, name), join(folder, name));
  }
  say(`history and logs are in ${folder}`);
}
