import { singleUser } from '../../domain/users.ts';
import type { Principal } from '../../service/principal.ts';
import { type Place, placeOf } from '../shared/place.ts';

/** Where the code of a `user_uuid` runs. The user that a token is for has the default context. */
export function placeOfUser(principal: Principal, userUuid: string): Place {
  const own = singleUser(principal.users);
  const isOwn = own !== null && (userUuid === own || userUuid === '');
  return placeOf(principal, isOwn ? null : userUuid);
}
