/**
 * The systemd units of an installation, as texts. They belong to a release: each release has its own in the folder
 * `systemd`, so a return to the former release also returns to its units. `docs/decisions/0082` says why stopping the
 * service also stops the embedded PostgreSQL.
 */

/** Where everything of a service is. All paths are absolute. */
export const PLACES = {
  user: 'cellhouse',
  /** Releases, each a folder, below `releases`, and the link `current` to one of them. */
  root: '/opt/cellhouse',
  current: '/opt/cellhouse/current',
  /** The settings and secrets. systemd reads the file as root, so nobody else needs to. */
  settings: '/etc/cellhouse/cellhouse.env',
  data: '/var/lib/cellhouse',
  sockets: '/run/cellhouse',
  backups: '/var/backups/cellhouse',
  units: '/etc/systemd/system',
} as const;

export const SERVICE = 'cellhouse.service';
export const BACKUP = 'cellhouse-backup.service';
export const BACKUP_TIMER = 'cellhouse-backup.timer';

/**
 * Who runs the program and with which settings. It is also what `cellhouse service run` needs, as properties of
 * `systemd-run`. The settings in the file win over those in `Environment`.
 */
export const IDENTITY: readonly string[] = [
  `User=${PLACES.user}`,
  'SupplementaryGroups=docker',
  `WorkingDirectory=${PLACES.data}`,
  'StateDirectory=cellhouse',
  // PostgreSQL and its socket are below it. Only this user needs to enter.
  'StateDirectoryMode=0700',
  'RuntimeDirectory=cellhouse',
  // The sockets of workers that outlive the server are in it.
  'RuntimeDirectoryPreserve=yes',
  `Environment=DATA_DIR=${PLACES.data} SOCKET_DIR=${PLACES.sockets} NODE_ENV=production`,
  `EnvironmentFile=${PLACES.settings}`,
  'UMask=0077',
];

/** Comments of the units are lines that begin with #. systemd allows no comment after a value. */
const HARDENING = `\
# The program writes only below DATA_DIR and SOCKET_DIR. If the file with the settings names others, add them by
# ReadWritePaths= with: systemctl edit cellhouse
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
# PostgreSQL's shared memory. No process outside of the unit needs it.
PrivateIPC=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# A refused call fails as it does without the right to make it. It does not kill the server.
SystemCallErrorNumber=EPERM
# Left out:
# MemoryDenyWriteExecute: V8 compiles JavaScript to machine code while it runs.
# PrivateNetwork, IPAddressDeny: the server listens, and dials the hosts that code may reach.
# PrivateUsers: the group docker would be unknown in it.
# ProcSubset=pid: Node reads /proc/meminfo and /proc/stat.
# RootDirectory, RootImage: Node comes from the machine's packages.
# SupplementaryGroups=docker is a right as large as root's. It stays, because the server makes containers.
`;

/**
 * All unit files, by name. Pure.
 * @param node the path of the Node that runs the program
 */
export function unitFiles(node: string): Readonly<Record<string, string>> {
  const cli = `${node} ${PLACES.current}/dist/cli.js`;
  return {
    [SERVICE]: `\
[Unit]
Description=Cellhouse
Documentation=file:${PLACES.current}/README.md
Wants=network-online.target
# Not Requires=: the server outlives an engine that is away, and serves existing sessions meanwhile.
Wants=docker.service
After=network-online.target docker.service
# It is never given up: what keeps it from starting, such as a database that is away, may pass.
StartLimitIntervalSec=0

[Service]
Type=exec
${IDENTITY.join('\n')}
ExecStart=${cli} start
# The embedded PostgreSQL ends with the service, by a shutdown of its own. Sessions go on: they are containers of Docker.
KillMode=process
ExecStopPost=${cli} down --keep-sessions
# The server needs 10 s at most, and PostgreSQL 20 s.
TimeoutStopSec=40
Restart=on-failure
RestartSec=1
RestartSteps=5
RestartMaxDelaySec=30
LimitNOFILE=524288
# The heads of the audit chain are in the log, so no line may be dropped.
LogRateLimitIntervalSec=0
${HARDENING}
[Install]
WantedBy=multi-user.target
`,
    [BACKUP]: `\
[Unit]
Description=Backup of Cellhouse
After=${SERVICE}

[Service]
Type=oneshot
${IDENTITY.join('\n')}
ExecStart=${cli} backup --to ${PLACES.backups} --keep 7
ReadWritePaths=${PLACES.backups}
Nice=10
IOSchedulingClass=idle
${HARDENING}`,
    [BACKUP_TIMER]: `\
[Unit]
Description=Nightly backup of Cellhouse

[Timer]
OnCalendar=*-*-* 03:00:00
RandomizedDelaySec=15min
# Makes up for a night in which the machine was off.
Persistent=true

[Install]
WantedBy=timers.target
`,
  };
}

/** The content of the file with the settings, as `service install` makes it. */
export const FIRST_SETTINGS = `\
# Settings of Cellhouse, one NAME=value a line: docs/run/settings.md lists them.
# After a change: systemctl restart cellhouse
`;
