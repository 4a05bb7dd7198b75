/** Where JupyterLab's own client, unmodified, finds a gateway or a Jupyter server. */
import { createRequire } from 'node:module';
import type { ServerConnection } from '@jupyterlab/services';
import { WebSocket } from 'ws';

/** The package is CommonJS, and its modules for browsers are found first by import. */
export const services = createRequire(import.meta.url)(
  '@jupyterlab/services',
) as typeof import('@jupyterlab/services');

/** Where a Jupyter API is, and what lets in. */
export interface JupyterPlace {
  /** Up to and without `/api`. */
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
