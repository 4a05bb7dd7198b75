/** A small graphql-transport-ws client. It connects once, on demand, and sends the token in `connection_init`. */

const GRAPHQL_PATH = '/graphql';
const FORBIDDEN = 4403;

/**
 * @param {() => string} tokenOf
 * @returns {{ run: Function, close: Function }} `run` sends one operation and calls `onNext` for each result. Its
 * promise
 *   resolves when the operation ends, or rejects with a message for the user.
 */
export function createGraphqlSocket(tokenOf) {
  let connection = null;
  let lastId = 0;

  function connect() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${GRAPHQL_PATH}`, [
      'graphql-transport-ws',
    ]);
    const operations = new Map();
    const ready = new Promise((resolve, reject) => {
      socket.onopen = () =>
        socket.send(
          JSON.stringify({ type: 'connection_init', payload: { 'X-Auth-Token': tokenOf() } }),
        );
      socket.onclose = ({ code }) => {
        const error = new Error(
          code === FORBIDDEN
            ? 'The token is wrong, expired or revoked.'
            : `The connection ended (${code}).`,
        );
        connection = null;
        reject(error);
        for (const { fail } of operations.values()) fail(error);
      };
      socket.onmessage = ({ data }) => receive(JSON.parse(data), { socket, operations, resolve });
    });
    return { socket, operations, ready };
  }

  async function run(query, variables, onNext) {
    connection ??= connect();
    const { socket, operations, ready } = connection;
    await ready;
    lastId += 1;
    const id = String(lastId);
    return new Promise((done, fail) => {
      operations.set(id, { onNext, done, fail });
      socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
    });
  }

  return { run, close: () => connection?.socket.close() };
}

function receive(message, { socket, operations, resolve }) {
  const operation = operations.get(message.id);
  switch (message.type) {
    case 'connection_ack':
      resolve();
      break;
    case 'ping':
      socket.send('{"type":"pong"}');
      break;
    case 'next':
      try {
        operation?.onNext(message.payload);
      } catch (error) {
        operations.delete(message.id);
        operation.fail(error);
      }
      break;
    case 'error':
      operations.delete(message.id);
      operation?.fail(new Error(message.payload.map((error) => error.message).join('\n')));
      break;
    case 'complete':
      operations.delete(message.id);
      operation?.done();
      break;
  }
}
