/** Debian's jupyter-server. The kernel is created by REST, and code runs over the kernel's WebSocket. */
import { startJupyterServer } from '../../testkit/kernelServers.ts';
import { openChannels } from '../support/jupyterChannels.ts';
import type { CodeRunner } from './codeRunner.ts';

/** Settings in addition to those of {@link startJupyterServer}: no pings, and only warnings in the log. */
const SETTINGS = [
  '--ServerApp.tornado_settings={"ws_ping_interval": 0}',
  '--ServerApp.log_level=WARN',
];

/** Uses a Unix socket. Over TCP, the server's small frames would wait for acknowledgements: it sets no TCP_NODELAY. */
export async function startPlainJupyterServer(): Promise<CodeRunner> {
  const server = await startJupyterServer(SETTINGS);
  try {
    const { target } = server;
    if (target.kind !== 'jupyter') throw new Error('That is no Jupyter server.');
    const channels = await openChannels(target.url, target.headers);
    return {
      name: "Debian's jupyter-server",
      roundTrip: channels.roundTrip,
      close: async () => {
        channels.close();
        await server.close();
      },
    };
  } catch (error: unknown) {
    await server.close();
    throw error;
  }
}
