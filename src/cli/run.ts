import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/config.ts';
import { explain } from '../domain/errors.ts';
import { checkConfig } from './checkConfig.ts';
import { down } from './down.ts';
import { prune } from './prune.ts';
import { rebuild } from './rebuild.ts';
import { serve } from './serve.ts';

const USAGE = `Usage: cellhouse <command>

  serve          start the gateway (npm start also makes what is missing first)
  down           end everything of this installation: sessions, containers, embedded PostgreSQL
  rebuild        make the projections equal to what the events say; gateways may serve meanwhile
  prune          delete output and events of what ended long ago; the rows that audits ask of stay
                 --older-than-days N   how long ago, at least 1
                 --archive FILE        append what is deleted to a file first, one JSON object a line
  config check   read the environment, list every problem, print what is in force

Settings are environment variables; docs/settings.md lists them.`;

/** Runs the command that `words` name. A failure is told on stderr and in the exit code. */
export async function run(words: readonly string[]): Promise<void> {
  await runCommand(words).catch(report);
}

async function runCommand(words: readonly string[]): Promise<void> {
  switch (words[0] === 'prune' ? 'prune' : words.join(' ')) {
    case 'serve':
      return await serve();
    case 'down':
      return await down();
    case 'rebuild':
      return await rebuild();
    case 'prune':
      return await prune(words.slice(1));
    case 'config check':
      return checkConfig();
    case '--version':
      return console.log(version());
    case '--help':
      return console.log(USAGE);
    default:
      console.error(USAGE);
      process.exitCode = 1;
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** An operator is told what to do; where the code went wrong is of no use to them unless they ask for it. */
function report(error: unknown): void {
  if (error instanceof ConfigError) console.error(error.message);
  else console.error(`cellhouse: ${explain(error)}`);
  if (process.env.LOG_LEVEL === 'debug') console.error(error);
  process.exitCode = 1;
}
