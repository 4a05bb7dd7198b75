import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { waitForEngine } from './dockerd.mjs';
import { runCommand } from './runCommand.mjs';
import { detail } from './steps.mjs';

const DAEMON_CONFIG = '/etc/docker/daemon.json';

/** As sd_booted(3) tells. */
export function hasSystemd() {
  return existsSync('/run/systemd/system');
}

/**
 * Has an engine that is about to be installed keep containers through its own restarts. A configuration that is there is
 * its owner's: it stays as it is.
 */
export function writeLiveRestore() {
  if (existsSync(DAEMON_CONFIG)) return;
  mkdirSync('/etc/docker', { recursive: true });
  writeFileSync(DAEMON_CONFIG, `${JSON.stringify({ 'live-restore': true }, null, 2)}\n`);
  detail(`${DAEMON_CONFIG}: live-restore, so that workers outlive a restart of the engine`);
}

/** The service, also after this boot. */
export async function startDockerService() {
  const advice = 'See: journalctl --unit docker';
  await runCommand('systemctl', ['enable', '--now', 'docker.service'], { advice });
  await waitForEngine(() => null, advice);
}
