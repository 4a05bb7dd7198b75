/** Decides which connections may become WebSockets. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DoorUpgradeRoute } from '../doors/doorUpgrade.ts';
import type { IsOriginAllowed } from '../http/cors.ts';
import { GRAPHQL_PATH, pathOf } from '../http/httpRoutes.ts';
import type { WebSockets } from './webSockets.ts';

export interface UpgradeDeps {
  readonly doorUpgrade: DoorUpgradeRoute;
  readonly webSockets: WebSockets;
  readonly isOriginAllowed: IsOriginAllowed;
  readonly isStopping: () => boolean;
}

/** The `upgrade` listener for Node's server. */
export function createUpgrade(
  deps: UpgradeDeps,
): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (req, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (!deps.isStopping() && deps.doorUpgrade(req, socket, head)) return;
    const refusal = refusedUpgrade(req, deps);
    if (refusal === null) deps.webSockets.handleUpgrade(req, socket, head);
    else socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  };
}

/** The status line of the refusal. Null: the connection may be upgraded. */
function refusedUpgrade(
  req: IncomingMessage,
  { isStopping, isOriginAllowed }: UpgradeDeps,
): string | null {
  if (isStopping()) return '503 Service Unavailable';
  if (pathOf(req) !== GRAPHQL_PATH) return '404 Not Found';
  return isOriginAllowed(req) ? null : '403 Forbidden';
}
