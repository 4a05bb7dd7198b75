import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { waitForEngine } from './dockerd.mjs';
import { runCommand } from './runCommand.mjs';
import { detail } from './steps.mjs';

const DAEMON_CONFIG = '/etc/docker/daemon.json';

/** Whether systemd runs this machine. The same check as in sd_booted(3). */
export function hasSystemd() {
  return existsSync('/run/systemd/system');
}

/**
 * Configures an engine that is about to be installed to keep containers running through its restarts. An existing
 * configuration belongs to its owner and stays unchanged.
 */
export function writeLiveRestore() {
  if (existsSync(DAEMON_CONFIG)) return;
  mkdirSync('/etc/docker', { recursive: true });
  writeFileSync(DAEMON_CONFIG, `${JSON.stringify({ 'live-restore': true }, null, 2)}\n`);
  detail(`${DAEMON_CONFIG}: live-restore, so that workers outlive a restart of the engine`);
}

/** Starts the service, now and at each boot. */
export async function startDockerService() {
  const advice = 'See: journalctl --unit docker';
  await runCommand('systemctl', ['enable', '--now', 'docker.service'], { advice });
  await waitForEngine(() => null, advice);
}
