import { describe, expect, it } from 'vitest';
import type { PoolId, WorkerId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { containerSpec } from '../../src/runtime/docker/containerSpec.ts';

const MIB = 1024 * 1024;
/** Flags of clone(2), from <sched.h>. glibc makes threads with CLONE_VM, CLONE_THREAD and seven more flags. */
const THREAD = 0x3d_0f00;
const SIGCHLD = 17;
const NAMESPACES = {
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
};

function hostConfig(ociRuntime: string) {
  const spec = containerSpec(
    {
      workerId: newId<WorkerId>(),
      poolId: newId<PoolId>(),
      name: 'cellhouse-x',
      imageId: 'sha256:0',
      limits: { memoryMb: 512, diskMb: 256, cpus: 0.5, pids: 128 },
      environment: { CELLHOUSE_CPUS: '1' },
    },
    '/run/cellhouse/p/w',
    ociRuntime,
  );
  return { environment: spec.Env ?? [], host: spec.HostConfig ?? {} };
}

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly {
    readonly op: string;
    readonly value: number;
    readonly valueTwo: number;
  }[];
}

function seccompRules(): Rule[] {
  const option = hostConfig('runc').host.SecurityOpt?.find((text: string) =>
    text.startsWith('seccomp='),
  );
  return JSON.parse(option?.slice('seccomp='.length) ?? '{}').syscalls;
}

describe('the container of a worker', () => {
  it('gets the size of its disk on top of its memory, and no swap', () => {
    const { host } = hostConfig('runc');
    expect(host.Memory).toBe((512 + 256) * MIB);
    expect(host.MemorySwap).toBe(host.Memory);
    const sizes = Object.values(host.Tmpfs as Record<string, string>).map((options) =>
      Number(/size=(\d+)m/.exec(options)?.[1]),
    );
    expect(sizes.reduce((sum, size) => sum + size)).toBe(256);
  });

  it("gets gVisor's own memory on top as well", () => {
    expect(hostConfig('runsc').host.Memory).toBe((512 + 256 + 128) * MIB);
  });

  it('has its limit on processes set by the host under runc, and from within under gVisor', () => {
    expect(hostConfig('runc').host.PidsLimit).toBe(128);
    expect(hostConfig('runc').environment).toEqual(['CELLHOUSE_CPUS=1']);
    expect(hostConfig('runsc').host.PidsLimit).toBeGreaterThan(2 * 128);
    expect(hostConfig('runsc').environment).toEqual(['CELLHOUSE_CPUS=1', 'CELLHOUSE_PIDS=128']);
  });

  it('a worker mounts nothing of the host but its socket folder', () => {
    expect(hostConfig('runc').host).toMatchObject({
      Binds: ['/run/cellhouse/p/w:/run/cellhouse/socket'],
      ReadonlyRootfs: true,
    });
  });
});

describe('the seccomp profile', () => {
  it('lists no unconditional call twice, and none that it also lists with conditions on its arguments', () => {
    const free = seccompRules().flatMap(({ names, args }) => (args ? [] : names));
    expect(free.length).toBeGreaterThan(200);
    expect(new Set(free).size).toBe(free.length);
    const bound = seccompRules().flatMap(({ names, args }) => (args ? names : []));
    expect(free.filter((name) => bound.includes(name))).toEqual([]);
  });

  it.each([
    ...[
      'add_key',
      'keyctl',
      'request_key',
      'bpf',
      'perf_event_open',
      'userfaultfd',
      'io_uring_setup',
    ],
    ...[
      'ptrace',
      'process_vm_readv',
      'pidfd_getfd',
      'kcmp',
      'mount',
      'umount2',
      'move_mount',
      'fsopen',
    ],
    ...['unshare', 'setns', 'pivot_root', 'chroot', 'name_to_handle_at', 'open_by_handle_at'],
    ...['init_module', 'finit_module', 'kexec_load', 'reboot', 'swapon', 'acct', 'syslog', 'iopl'],
    ...['shmget', 'semget', 'msgget', 'mq_open', 'inotify_init', 'fanotify_init', 'modify_ldt'],
  ])('does not list %s', (name) => {
    expect(seccompRules().flatMap(({ names }) => names)).not.toContain(name);
  });

  /** Whether clone(2) may be called with these flags. The rules for clone look at nothing else. */
  const mayClone = (flags: number) =>
    seccompRules()
      .filter(({ names }) => names.includes('clone'))
      .some(({ args = [] }) =>
        args.every(({ op, value, valueTwo }) => {
          expect(op).toBe('SCMP_CMP_MASKED_EQ');
          return (flags & value) === valueTwo;
        }),
      );

  it('lets clone make processes and threads', () => {
    expect(mayClone(SIGCHLD)).toBe(true);
    expect(mayClone(THREAD)).toBe(true);
  });

  it.each(Object.entries(NAMESPACES))('lets clone make no %s namespace', (_kind, flag) => {
    expect(mayClone(flag | SIGCHLD)).toBe(false);
    expect(mayClone(flag | THREAD)).toBe(false);
  });
});
