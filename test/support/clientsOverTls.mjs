/**
 * E2B's SDK and JupyterLab's client, unmodified, at the gateway of the first argument, an https URL. They trust its
 * certificate by NODE_EXTRA_CA_CERTS, which Node reads only when it starts. Prints what they got, as JSON.
 */
import { createRequire } from 'node:module';
import { Sandbox } from '@e2b/code-interpreter';
import { WebSocket } from 'ws';

const [url] = process.argv.slice(2);
const { KernelManager, ServerConnection } = createRequire(import.meta.url)('@jupyterlab/services');
const PRINT_CLOCK =
  'import time\nfor _ in range(6):\n    print(time.time(), flush=True)\n    time.sleep(0.6)';

/** How long each printed time took to arrive, in milliseconds. */
function createDelays() {
  const delaysMs = [];
  const take = (text) => {
    for (const line of text.split('\n').filter(Boolean))
      delaysMs.push(Date.now() - Number(line) * 1_000);
  };
  return { delaysMs, take };
}

async function useE2b() {
  const sandbox = await Sandbox.create();
  const [cell, command] = [createDelays(), createDelays()];
  await sandbox.runCode(PRINT_CLOCK, { onStdout: ({ line }) => cell.take(line) });
  await sandbox.commands.run(`python3 -c '${PRINT_CLOCK}'`, { onStdout: command.take });
  await sandbox.files.write('größe & 1%.txt', 'from outside');
  const read = await sandbox.files.read('größe & 1%.txt');
  await sandbox.kill();
  return { cell: cell.delaysMs, command: command.delaysMs, read };
}

async function useJupyter() {
  const serverSettings = ServerConnection.makeSettings({
    ...{ baseUrl: `${url}/jupyter/`, wsUrl: `${url.replace('http', 'ws')}/jupyter/` },
    ...{ token: process.env.JUPYTER_TOKEN, appendToken: true },
    ...{ WebSocket, fetch, Request, Headers },
  });
  const manager = new KernelManager({ serverSettings });
  const kernel = await manager.startNew();
  const { delaysMs, take } = createDelays();
  const future = kernel.requestExecute({ code: PRINT_CLOCK });
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === 'stream') take(content.text);
  };
  const { content } = await future.done;
  await kernel.shutdown();
  manager.dispose();
  return { cell: delaysMs, status: content.status };
}

const [e2b, jupyter] = await Promise.all([useE2b(), useJupyter()]);
process.stdout.write(JSON.stringify({ e2b, jupyter }), () => process.exit(0));
