import { parseId, type TokenId } from '../../domain/ids.ts';
import { decideToken, type Token, type TokenCommand, type UsedToken } from '../../domain/token.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { notFound } from '../notFound.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/**
 * Records what a command on a token changes. Resolves with the token afterwards, which is unchanged if the command
 * changes nothing.
 * @throws NOT_FOUND
 */
export async function changeToken(
  { database: { queries, store } }: Pick<ServiceDeps, 'database'>,
  given: string,
  commandOn: (token: Token) => TokenCommand,
): Promise<UsedToken> {
  const id = parseId<TokenId>(given);
  const load = async () => {
    const token = id === null ? null : await queries.usedToken(id);
    if (token === null) throw notFound('token', given);
    return token;
  };
  await decideAndCommit(store, {
    load,
    decide: (state) => {
      const events = decideToken(commandOn(state), state);
      return commitChanges({ streams: [{ stream: 'token', id: state.id, state, events }] });
    },
  });
  return await load();
}
