import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below 32768, where Linux begins to choose ports for connections and for servers that name none. */
const FIRST_PORT = 20_000;
const PORTS = 12_768;
const MAX_ATTEMPTS = 100;

/**
 * A free port on loopback, for a server that must keep its address or is told it in advance. Nothing takes it by chance
 * until the server starts, because Linux chooses only ports above these by itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (await isFree(port)) return port;
  }
  throw new Error(`None of ${MAX_ATTEMPTS} ports from ${FIRST_PORT} on is free.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
