/**
 * nginx or Caddy in front of a gateway, with TLS, by the recipe of docs/run/proxy.md as it stands there. Only its ports,
 * addresses and folders are replaced. The programs are Debian's (`scripts/testing/debianPrograms.mjs`).
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { freePort } from '../../testkit/freePort.ts';
import { until } from '../../testkit/until.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { fences, readPage } from './userPages.ts';

export const PROXIES = ['nginx', 'caddy'] as const;
export type ProxyName = (typeof PROXIES)[number];

/** The host name of the recipes. The certificate is also for 127.0.0.1. */
export const HOST_NAME = 'cellhouse.example.com';

const END_LIMIT_MS = 2_000;
const PAGE = 'docs/run/proxy.md';
const GATEWAY = '127.0.0.1:3874';
/** What the page adds to nginx's `server` lines for several gateways. */
const NGINX_SERVER = 'max_fails=0';
/** What the page adds to Caddy's recipe for several gateways. */
const CHECKS = ['health_uri /readyz', 'health_interval 1s'];

export interface TlsProxy {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** Its certificate, which clients must trust. */
  readonly certificate: string;
  readonly certificateFile: string;
  /** The configuration as the program itself prints it: nginx its files, Caddy its JSON. */
  readonly configuration: string;
  /** The processes that serve. */
  pids(): number[];
  /** All that is in its log files, and all that it has printed. */
  logs(): string;
  /** The temporary files that it has made so far, also those that are gone. */
  temporaryFiles(): readonly string[];
  end(): Promise<void>;
}

/** Where the proxy has its files. */
interface Places {
  readonly root: string;
  readonly logs: string;
  readonly temporary: string;
  readonly certificate: Certificate;
}

interface Program {
  readonly path: string;
  readonly words: readonly string[];
  /** The words that make the program print its configuration. */
  readonly printing: readonly string[];
}

/**
 * Starts the proxy on loopback, and resolves when it accepts connections.
 * @param gateways the ports of the gateways behind it
 */
export async function startTlsProxy(
  name: ProxyName,
  ...gateways: readonly number[]
): Promise<TlsProxy> {
  const port = await freePort();
  const places = makePlaces();
  const recipe = recipeOf(name)
    .replaceAll('/etc/ssl/cellhouse.pem', places.certificate.file)
    .replaceAll('/etc/ssl/cellhouse.key', places.certificate.keyFile);
  const prepare = name === 'nginx' ? prepareNginx : prepareCaddy;
  const debian = await ensureUnpacked('proxies');
  const { path, words, printing } = prepare(recipe, { debian, port, places, gateways });
  const env = {
    PATH: process.env.PATH,
    HOME: places.root,
    TMPDIR: places.temporary,
    XDG_DATA_HOME: places.root,
    XDG_CONFIG_HOME: places.root,
  };
  const configuration = execFileSync(path, printing, { env, encoding: 'utf8', stdio: 'pipe' });
  const made: string[] = [];
  const watchers = readdirSync(places.temporary, { recursive: true, encoding: 'utf8' })
    .map((folder) => join(places.temporary, folder))
    .concat(places.temporary)
    .map((folder) => watch(folder, (_event, file) => made.push(join(folder, file ?? ''))));
  const child = spawn(path, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  const pid = child.pid ?? 0;
  const logs = () =>
    readdirSync(places.logs)
      .map((file) => readFileSync(join(places.logs, file), 'utf8'))
      .concat(printed)
      .join('');
  const end = async () => {
    for (const watcher of watchers) watcher.close();
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    // Caddy waits for calls that are under way.
    const timer = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
    await exited;
    clearTimeout(timer);
    rmSync(places.root, { recursive: true });
  };
  try {
    await until(`${name} on port ${port}`, async () => {
      if (child.exitCode !== null) throw new Error(`${name} has ended:\n${logs()}`);
      return await accepts(port);
    });
  } catch (error: unknown) {
    await end();
    throw error;
  }
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    certificate: places.certificate.text,
    certificateFile: places.certificate.file,
    configuration,
    pids: () => [pid, ...childrenOf(pid)],
    logs,
    temporaryFiles: () => made,
    end,
  };
}

function recipeOf(name: ProxyName): string {
  const [recipe, ...more] = fences(name === 'nginx' ? 'nginx' : 'caddyfile', readPage(PAGE));
  if (recipe === undefined || more.length > 0)
    throw new Error(`${PAGE} must have one recipe for ${name}.`);
  return recipe;
}

/** The folders and the certificate. nginx's own user must be able to write into some of them. */
function makePlaces(): Places {
  const root = mkdtempSync(join(tmpdir(), 'ch-proxy-'));
  chmodSync(root, 0o755);
  const [logs, temporary] = [join(root, 'log'), join(root, 'temporary')];
  for (const folder of [logs, temporary]) mkdirSync(folder);
  chmodSync(temporary, 0o777);
  const certificate = makeCertificate(root, [HOST_NAME, 'IP:127.0.0.1']);
  return { root, logs, temporary, certificate };
}

interface Wanted {
  /** The folder of Debian's programs. */
  readonly debian: string;
  readonly port: number;
  readonly places: Places;
  readonly gateways: readonly number[];
}

/** The recipe is a file of `conf.d`, which Debian's own nginx.conf includes. */
function prepareNginx(recipe: string, { debian, port, places, gateways }: Wanted): Program {
  const folder = join(places.root, 'nginx');
  cpSync(join(debian, 'etc/nginx'), folder, { recursive: true });
  const main = readFileSync(join(folder, 'nginx.conf'), 'utf8');
  const own = (text: string) =>
    text
      .replaceAll('/etc/nginx', folder)
      .replaceAll('/var/log/nginx', places.logs)
      .replaceAll('/run/nginx.pid', join(places.root, 'nginx.pid'));
  writeFileSync(join(folder, 'nginx.conf'), own(main));
  const options = forSeveral(gateways, [NGINX_SERVER]);
  const servers = gateways
    .map((gateway) => `server ${[`127.0.0.1:${gateway}`, ...options].join(' ')};`)
    .join('\n');
  const changed = replaced(own(recipe), {
    'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
    [`server ${GATEWAY};`]: servers,
  });
  writeFileSync(join(folder, 'conf.d/cellhouse.conf'), changed);
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const paths = kinds.map((kind) => {
    const path = join(places.temporary, kind);
    mkdirSync(path);
    return `${kind}_temp_path ${path};`;
  });
  writeFileSync(join(folder, 'conf.d/temporary.conf'), paths.join('\n'));
  const words = ['-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
  return {
    path: join(debian, 'usr/sbin/nginx'),
    words: [...words, '-g', 'daemon off;'],
    printing: [...words, '-T'],
  };
}

/**
 * The added options keep Caddy to loopback, and away from port 80, the port of its commands, and the certificates that
 * this machine trusts.
 */
function prepareCaddy(recipe: string, { debian, port, places, gateways }: Wanted): Program {
  const file = join(places.root, 'Caddyfile');
  const checks = forSeveral(gateways, CHECKS);
  const options = [
    ...['admin off', 'default_bind 127.0.0.1', 'skip_install_trust'],
    'auto_https disable_redirects',
  ];
  const changed = replaced(recipe.replaceAll('/var/log/caddy', places.logs), {
    [`${HOST_NAME} {`]: `https://:${port} {`,
    [GATEWAY]: gateways.map((gateway) => `127.0.0.1:${gateway}`).join(' '),
  });
  const tries = 'lb_try_duration 5s';
  const checked = replaced(changed, { [tries]: [tries, ...checks].join('\n') });
  writeFileSync(file, checked.replace('{\n', `{\n${options.join('\n')}\n`));
  const words = ['--config', file, '--adapter', 'caddyfile'];
  return {
    path: join(debian, 'usr/bin/caddy'),
    words: ['run', ...words],
    printing: ['adapt', ...words],
  };
}

/** The lines that the page adds for several gateways. @throws Error if the page does not have them */
function forSeveral(gateways: readonly number[], lines: readonly string[]): readonly string[] {
  if (gateways.length < 2) return [];
  for (const line of lines)
    if (!readPage(PAGE).includes(`\`${line}\``)) throw new Error(`${PAGE} must have: ${line}`);
  return lines;
}

/** @throws Error if the recipe does not have each text exactly once */
function replaced(recipe: string, changes: Readonly<Record<string, string>>): string {
  let text = recipe;
  for (const [from, to] of Object.entries(changes)) {
    if (text.split(from).length !== 2)
      throw new Error(`The recipe in ${PAGE} must have this once: ${from}`);
    text = text.replace(from, () => to);
  }
  return text;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const settle = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.on('secureConnect', () => settle(true)).on('error', () => settle(false));
  });
}

function childrenOf(pid: number): number[] {
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return pids.split(' ').filter(Boolean).map(Number);
}
