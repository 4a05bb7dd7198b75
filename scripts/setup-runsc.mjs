/** `node scripts/setup-runsc.mjs`: makes DOCKER_RUNTIME=runsc (gVisor) usable on this machine. */
import { ensureEngine } from './setup/engine.mjs';
import { ensureRunsc } from './setup/runsc.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  await ensureEngine();
  await ensureRunsc();
  console.log(
    'Ready. Start the server with DOCKER_RUNTIME=runsc. If it runs as a service, write that setting into /etc/cellhouse/cellhouse.env, then run: systemctl restart cellhouse',
  );
});
