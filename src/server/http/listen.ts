/** Opens the port, or says in one sentence why that failed. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { quoted } from '../../domain/quoted.ts';
import { whoListens } from './portOwner.ts';

/** Its message is for the operator, and needs no stack trace. */
class ListenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

/** @throws ListenError */
export async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (error: unknown) {
    throw new ListenError(explain(error, host, port), { cause: error });
  }
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('The server listens on no port.');
  return address;
}

function explain(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use by ${whoListens(port) ?? 'another process'}. Stop that, or set PORT to another.`;
    case 'EACCES':
      return `This user may not open port ${port}. Set PORT to a number above 1023.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST is ${quoted(host)}, which is no address of this machine.`;
    default:
      return `Port ${port} on ${host} could not be opened: ${error instanceof Error ? error.message : error}`;
  }
}
