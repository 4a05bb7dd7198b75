/** The settings with which JupyterLab's own, unmodified client reaches a gateway or a Jupyter server. */
import { createRequire } from 'node:module';
import type { ServerConnection } from '@jupyterlab/services';
import { WebSocket } from 'ws';

/** The package is CommonJS. It is loaded by `require`, because `import` finds its modules for browsers first. */
export const services = createRequire(import.meta.url)(
  '@jupyterlab/services',
) as typeof import('@jupyterlab/services');

/** The address of a Jupyter API, and a token that it accepts. */
export interface JupyterPlace {
  /** The base URL, without `/api`. */
  readonly url: string;
  readonly token: string;
}

export function settingsOf({ url, token }: JupyterPlace): ServerConnection.ISettings {
  return services.ServerConnection.makeSettings({
    baseUrl: `${url}/`,
    wsUrl: `${url.replace('http', 'ws')}/`,
    token,
    appendToken: true,
    WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
    fetch,
    Request,
    Headers,
  });
}
