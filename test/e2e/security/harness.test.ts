/**
 * Tests that the probes can fail: here they attack a container that only looks like a worker, and has weaknesses that a
 * worker does not have. Also tests that the probes refuse to attack anything that does not look like a worker.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKER_HOME } from '../../../src/domain/worker.ts';
import { workerImage } from '../../../testkit/workerImage.ts';
import {
  type ProbeParameters,
  parseVerdicts,
  probeCode,
  probeNames,
  type Verdict,
} from '../../support/probes.ts';

const USER = '64002';
/** A theme's code is short enough for a command line. */
const PYTHON = ['/usr/bin/python3', '-I', '-c'];

/** As the harness demands: not root, no network, read-only root. The rest is as open as Docker allows. */
const WEAK: Docker.HostConfig = {
  NetworkMode: 'none',
  ReadonlyRootfs: true,
  SecurityOpt: ['seccomp=unconfined'],
  MaskedPaths: [],
  ReadonlyPaths: [],
  Tmpfs: { [WORKER_HOME]: 'rw,mode=1777', '/tmp': 'rw,mode=1777' },
  Ulimits: [{ Name: 'core', Soft: -1, Hard: -1 }],
  // The container's init runs as the same user, like an agent without its own user.
  Init: true,
};

const parameters: ProbeParameters = {
  tier: 'runc',
  settings: [],
  gateway_port: 9,
  open_port: 9,
  host_addresses: [],
  host_paths: ['/host'],
  host_cmdline: '',
  abstract_socket: 'nobody',
};

const docker = new Docker();
const hostFolder = mkdtempSync(join(tmpdir(), 'ch-weak-'));
afterAll(() => rmSync(hostFolder, { recursive: true, force: true }));

describe('in a container that is not a worker', () => {
  it.each([
    ['runs as root', WEAK, '0', 'root'],
    ['has a writable root', { ...WEAK, ReadonlyRootfs: false }, USER, 'root file system'],
    ['has a network', { ...WEAK, NetworkMode: 'bridge' }, USER, 'interfaces'],
  ])('because it %s, nothing is attacked', async (_, host, user, reason) => {
    const printed = await run(probeCode('agent', parameters), host, user);
    expect(printed).toContain('NotAWorker');
    expect(printed).toContain(reason);
    expect(printed).not.toContain('"probe"');
  });
});

describe('in a container with weaknesses', () => {
  it.each([
    [
      'agent',
      [
        'signals the agent or init',
        'traces the agent or init',
        'reads or writes the memory of the agent or init',
        'reads the environment of the agent or init',
        'takes the files of the agent or init',
        'slows the agent or init down',
      ],
    ],
    [
      'kernelCalls',
      [
        'makes a user namespace with unshare',
        'makes a user namespace with clone',
        'makes a user namespace with clone3',
        "uses the kernel's keyrings",
        'traces its own child',
        'keeps memory in the kernel past the end of its processes (System V, message queues)',
        'makes calls that only other programs need',
      ],
    ],
    ['kernels', ['reads or changes another kernel of its user']],
    ['network', ['sends packets of its own making']],
    [
      'privileges',
      [
        'has a capability in any of its five sets',
        'gains privileges by an exec (no_new_privs is off)',
        'lifts its own limits',
        "leaves a core dump, or wakes the host's crash handler",
        'finds a secret in its environment, arguments or inherited files',
        'has a writable file system without nosuid, nodev and a size',
      ],
    ],
    [
      'hostFiles',
      [
        'reads how the host was started',
        'reads what the host and others on it do',
        'reads what hardware the host has',
        'finds a file system of the host among its mounts',
        'looks for files of the host by their paths',
      ],
    ],
  ])('the probes of %s report the attacks that succeeded', async (theme, open) => {
    const host = { ...WEAK, Binds: [`${hostFolder}:/host`] };
    const printed = await run(probeCode(theme, parameters), host, USER);
    // Programs that ask for a password write to the terminal, too.
    const lines = printed.split('\n').filter((line) => line.startsWith('{"probe"'));
    const verdicts = parseVerdicts(lines.join('\n'));
    const through = [...verdicts.values()].filter((verdict) => verdict.through !== undefined);
    expect([...verdicts.keys()]).toEqual(probeNames(theme, 'runc'));
    expect(through.map(({ probe }) => probe)).toEqual(expect.arrayContaining(open));
  });
});

describe('a probe', () => {
  let verdicts: Map<string, Verdict>;
  beforeAll(async () => {
    const source = `
import os, time
from harness import PERM, probe, refused
@probe("is refused")
def held(): return refused("chown", PERM, os.chown, "${WORKER_HOME}", 0, 0)
@probe("gets through")
def through(): return refused("list", PERM, os.listdir, "/")
@probe("fails for another reason")
def broken(): return refused("open", PERM, open, "/nowhere")
@probe("raises something")
def raises(): return undefined
@probe("says nothing")
def silent(): return ""
@probe("dies")
def dies(): os.kill(os.getpid(), 9)
`;
    verdicts = parseVerdicts(await run(probeCode('own', parameters, source), WEAK, USER));
  });

  it.each([
    ['is refused', 'held'],
    ['gets through', 'through'],
    ['fails for another reason', 'broken'],
    ['raises something', 'broken'],
    ['says nothing', 'broken'],
    ['dies', 'broken'],
  ])('that %s counts as %s', (name, kind) => {
    expect(Object.keys(verdicts.get(name) ?? {})).toEqual(['probe', kind]);
  });
});

async function run(code: string, host: Docker.HostConfig, user: string): Promise<string> {
  const image = workerImage();
  const output = new PassThrough();
  const printed = text(output);
  await docker.run(image, [...PYTHON, code], output, {
    // With a terminal Docker does not frame the output.
    Tty: true,
    Entrypoint: [],
    User: user,
    WorkingDir: WORKER_HOME,
    Env: ['AUTH_TOKEN=not-a-real-one'],
    Labels: { 'cellhouse.test': 'weak' },
    HostConfig: { ...host, AutoRemove: true },
  });
  output.end();
  return (await printed).replaceAll('\r', '');
}
