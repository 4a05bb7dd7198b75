import type { IncomingMessage } from 'node:http';
import type { BoundService } from '../../doors/boundService.ts';
import type { DoorRequest, Stopping } from '../../doors/openDoor.ts';
import type { Refusal } from '../../doors/shared/refusal.ts';
import type { Principal } from '../../service/principal.ts';
import { type Authenticate, isRefusal } from '../http/authenticate.ts';
import type { AddressOf } from '../http/clientAddress.ts';
import { tokenGiven } from './doorTokens.ts';
import type { FoundDoor } from './findDoor.ts';

export interface EnterDoorDeps {
  readonly authenticate: Authenticate;
  readonly addressOf: AddressOf;
  readonly bindService: (principal: Principal) => BoundService;
  readonly stopping: Stopping;
}

/** Looks at the token of a request to a door, before the door sees anything of it. */
export async function enterDoor(
  { authenticate, addressOf, bindService, stopping }: EnterDoorDeps,
  { door, path, taken }: FoundDoor,
  req: IncomingMessage,
): Promise<DoorRequest | Refusal> {
  const coming = { door: door.name, address: addressOf(req) };
  const principal = await authenticate(tokenGiven(taken, req, door.credentials), coming);
  if (isRefusal(principal)) return principal;
  const service = bindService(principal);
  const method = req.method ?? 'GET';
  return { req, method, path, query: taken.query, principal, service, stopping };
}
