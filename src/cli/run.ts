import { ConfigError } from '../config/config.ts';
import { explain } from '../domain/errors.ts';
import { DOORS } from '../domain/token.ts';
import { programVersion } from '../process/programVersion.ts';

export const USAGE = `Usage: cellhouse <command>

  start          install and build what is missing (engine, worker image), then start the gateway
  stop           end everything in this installation: sessions, containers, embedded PostgreSQL
  serve          only start the gateway; WORKER_IMAGE must be set
  down           the same as stop
                 --keep-sessions       only the embedded PostgreSQL, once the gateway has ended; sessions go on
  service install [FOLDER|PACKAGE]
                 run the gateway as a service of systemd, as a user of its own, from a copy of this program or of the
                 named release
                 [--ready-within SECONDS]
  service upgrade FOLDER|PACKAGE
                 replace the release that serves, and go back to it if the new one is not ready in time
                 [--ready-within SECONDS] [--no-backup]
  service run COMMAND
                 run any of these commands as the service's user, with its settings
  service remove end everything, and remove the service; data, backups and settings stay
  rebuild        rebuild the projections from the events; gateways may keep serving
  backup         copy the embedded database and the files of DATA_DIR into a new folder, while gateways serve
                 --to FOLDER [--keep N]
  restore        put such a copy in place, in a DATA_DIR without a database: cellhouse restore FOLDER/NAME
  prune          delete old output and events; executions and sessions stay in the audit views
                 --older-than-days N   delete what ended at least N days ago (N >= 1)
                 --archive FILE        first append what is deleted to FILE, one JSON object per line
  forget         remove what a user or a tenant ran, sent and got from all tables; what it cost stays, under another name
                 --user NAME [--tenant NAME] | --tenant NAME
                 --yes                 do not ask at the terminal
  audit verify   check every event against the audit chain; exit code 1 if anything was changed
                 --heads FILE          compare with the heads in FILE (a gateway's audit-heads, or its log) instead of
                                       those in DATA_DIR
  token create   make a token; its secret is shown once, on a terminal or in a new file
                 --name NAME --role operator|tenant|user|auditor [--tenant NAME]
                 [--user NAME | --user-prefix PREFIX] [--door ${DOORS.join('|')}]
                 [--expires-in 30d] [--shape ch|e2b] [--output FILE]
  token list     list all tokens, without secrets [--json]
  token revoke   revoke a token, named by its id or its name
  token rotate   give a token another secret [--former-valid-seconds N] [--output FILE]
  doors          make a token for each open door, and show the lines to paste into each client, on a terminal or in a
                 new file
                 [--door NAME] [--url https://code.example.com] [--name NAME] [--tenant NAME]
                 [--user NAME | --user-prefix PREFIX] [--expires-in 30d] [--output FILE]
  environment create NAME
                 build an environment, for sessions with packages of your own, on a running gateway
                 [--apt PKG...] [--pip SPEC...] [--requirements FILE] [--index URL|DIRECTORY] [--setup FILE]
                 [--preload MODULE...] [--rebuild] [--watch]
  environment list, environment show NAME [--version N]
                 what there is, and what is installed in it [--json]
  environment build NAME
                 follow the build [--watch] [--version N], or build the newest version again [--rebuild]
  environment remove NAME
                 remove all versions; sessions that are open in them go on
                 these ask a running gateway: [--url https://code.example.com] [--token-file FILE], or CELLHOUSE_URL and
                 CELLHOUSE_TOKEN; else the gateway with these settings
  mcp            speak MCP on standard input and output, as a client of a running gateway, for hosts that only start
                 commands; the token is in CELLHOUSE_TOKEN, and the address may be in CELLHOUSE_URL
                 [--url https://code.example.com] [--token-file FILE]
  auditor        let the PostgreSQL role cellhouse_auditor read the audit views, and nothing else; with DATABASE_URL,
                 print the statements for a superuser
                 --with-code           also code, and input that users sent
  doctor         check engine, image, a real worker, database, disks, memory, clock, permissions, port and more, and say
                 what to do; exit code 1 if anything failed [--json]
                 --url https://code.example.com   also check the proxy there [--token-file FILE]
  config check   read the environment, list every problem, print the settings in force
  --version      print the version of this program
  --help         print this text

Settings are environment variables; docs/run/settings.md lists them.`;

/** The commands that take arguments. */
const WITH_ARGUMENTS: readonly string[] = [
  'audit verify',
  'auditor',
  'backup',
  'doctor',
  'doors',
  'down',
  'environment',
  'forget',
  'mcp',
  'prune',
  'restore',
  'service',
  'stop',
  'token',
];

/** Runs the command given by `words`. Reports a failure on stderr and by the exit code. */
export async function run(words: readonly string[]): Promise<void> {
  await runCommand(words).catch(report);
}

/** Loads only what the command needs: a host may start `cellhouse mcp` for each conversation. */
async function runCommand(words: readonly string[]): Promise<void> {
  if (words.includes('--help')) return console.log(USAGE);
  const line = words.join(' ');
  const command = WITH_ARGUMENTS.find((name) => `${line} `.startsWith(`${name} `)) ?? line;
  const more = words.slice(command.split(' ').length);
  switch (command) {
    case 'start':
      return await (await import('./serve.ts')).start();
    case 'serve':
      return await (await import('./serve.ts')).serve();
    case 'stop':
    case 'down':
      return await (await import('./down.ts')).down(more);
    case 'rebuild':
      return await (await import('./rebuild.ts')).rebuild();
    case 'backup':
      return await (await import('./backup.ts')).backup(more);
    case 'restore':
      return await (await import('./backup.ts')).restore(more);
    case 'prune':
      return await (await import('./prune.ts')).prune(more);
    case 'doctor':
      return await (await import('./doctor.ts')).doctor(more);
    case 'doors':
      return await (await import('./doors.ts')).doors(more);
    case 'environment':
      return await (await import('./environment.ts')).environment(more);
    case 'forget':
      return await (await import('./forget.ts')).forget(more);
    case 'service':
      return await (await import('./service.ts')).service(more);
    case 'token':
      return await (await import('./token.ts')).token(more);
    case 'mcp':
      return await (await import('./mcp.ts')).mcp(more);
    case 'auditor':
      return await (await import('./auditor.ts')).auditor(more);
    case 'audit verify':
      return await (await import('./auditVerify.ts')).auditVerify(more);
    case 'config check':
      return (await import('./checkConfig.ts')).checkConfig();
    case '--version':
      return console.log(programVersion());
    default:
      console.error(USAGE);
      process.exitCode = 1;
  }
}

/** Tells the operator what to do. A stack trace would not help, so it is printed only if LOG_LEVEL is `debug`. */
function report(error: unknown): void {
  if (error instanceof ConfigError) console.error(error.message);
  else console.error(`cellhouse: ${explain(error)}`);
  if (process.env.LOG_LEVEL === 'debug') console.error(error);
  process.exitCode = 1;
}
