import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { DomainError } from '../../domain/errors.ts';
import { type WrittenJson, writtenJson } from '../../doors/shared/jsonAnswer.ts';
import { internalRefusal, type Refusal, refusalOf } from '../../service/refusal.ts';
import type { DoorSockets, SocketsOfTokens, UpgradeParts } from './doorSockets.ts';
import {
  type EnterDoorDeps,
  enterDoor,
  type FindDoor,
  type FoundDoor,
  type HostCheck,
} from './enterDoor.ts';

/** Upgrades the request if it is for a door. Returns whether the request was for a door. */
export type DoorUpgradeRoute = (req: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

export interface DoorUpgradeDeps extends EnterDoorDeps {
  readonly findDoor: FindDoor;
  readonly hostCheck: HostCheck;
  readonly sockets: DoorSockets;
  readonly socketsOfTokens: SocketsOfTokens;
  readonly newErrorId: () => string;
  readonly logger: Logger;
}

/** Checks `Host`, `Origin` and the token, in the same order as for other requests (doorRoute.ts). */
export function createDoorUpgrade(deps: DoorUpgradeDeps): DoorUpgradeRoute {
  return (req, socket, head) => {
    const found = deps.findDoor(req);
    if (found === 'elsewhere') return false;
    if (found === null || found.door.upgrade === undefined)
      endWith(socket, 404, { headers: { 'Content-Length': 0 }, text: '' });
    else {
      upgrade(deps, found, { req, socket, head }).catch((error: unknown) =>
        refuseAt(found, socket, refusalFor(deps, found, error)),
      );
    }
    return true;
  };
}

async function upgrade(
  deps: DoorUpgradeDeps,
  found: FoundDoor,
  parts: UpgradeParts,
): Promise<void> {
  const { req, socket } = parts;
  const refused = (refusal: Refusal) => refuseAt(found, socket, refusal);
  const foreign = deps.hostCheck(req);
  if (foreign !== null) return refused(foreign);
  const request = await enterDoor(deps, found);
  if ('status' in request) return refused(request);
  if (socket.destroyed) return;
  const tooMany = deps.socketsOfTokens.enter(request.principal.tokenId, socket);
  if (tooMany !== null) return refused(tooMany);
  const accepted = await found.door.upgrade?.(request);
  if (accepted !== undefined && !socket.destroyed)
    deps.sockets.open(accepted, request.principal.tokenEnd, parts);
}

function refusalFor({ logger, newErrorId }: DoorUpgradeDeps, { door }: FoundDoor, error: unknown) {
  if (error instanceof DomainError) return refusalOf(error);
  const errorId = newErrorId();
  logger.error({ err: error, errorId, door: door.name }, 'An upgrade at a door failed.');
  return internalRefusal(errorId);
}

function refuseAt({ door }: FoundDoor, socket: Duplex, refusal: Refusal): void {
  const answer = door.refuse(refusal);
  endWith(socket, answer.status, writtenJson(answer));
}

function endWith(socket: Duplex, status: number, { headers, text }: WrittenJson): void {
  const lines = Object.entries({ ...headers, Connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`);
}
