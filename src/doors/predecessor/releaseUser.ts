import { z } from 'zod';
import type { DoorCall } from '../openDoor.ts';
import { openContextOf } from '../shared/place.ts';
import { placeOfUser } from './placeOfUser.ts';
import { readFields } from './readFields.ts';
import { detail, type Reply } from './reply.ts';

const REQUEST = z.object({ user_uuid: z.string() });

/** `POST /release`: ends what a user has, if there is anything. It says so in any case. @throws DomainError */
export async function releaseUser({ service, principal, ...call }: DoorCall): Promise<Reply> {
  const { user_uuid: user } = await readFields(call, REQUEST);
  const place = placeOfUser(principal, user);
  const contextId = await openContextOf(service, place);
  if (contextId === null) await service.release(place.userUuid);
  else if (contextId !== undefined) await service.deleteContext(place.userUuid, contextId);
  const said = detail(200, `Worker for user ${user} has been released.`);
  return { status: 200, body: { status: 'ok', ...said.body } };
}
