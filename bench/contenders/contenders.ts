/** The systems that run `1+1` in turns, all on the same worker image. */
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { type Contender, inTurns } from '../suite/takeTurns.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { startStockKernel } from '../support/stockKernel.ts';
import { startPlainJupyterServer } from './jupyterServer.ts';
import { type PredecessorKind, startPredecessor } from './predecessor.ts';

const CODE = '1+1';
const RESULT = '2';
/** The user who calls Cellhouse. */
export const CALLER = 'bench';

/** A stock kernel with its own client in the same container. */
export async function startStock(): Promise<Contender> {
  const stock = await startStockKernel(workerImage());
  return {
    name: "stock ipykernel's own client",
    roundTrip: () => stock.roundTrip(CODE),
    close: () => stock.close(),
  };
}

/** The whole path of Cellhouse: HTTP, the token, GraphQL, durable events, a worker. */
export async function startCellhouse(): Promise<Contender> {
  return contenderAt(await startTestGateway({ LOG_LEVEL: 'warn' }));
}

/** Cellhouse with a gateway that is already running. */
export function contenderAt(gateway: TestGateway): Contender {
  const { url, token } = gateway;
  const execute = httpExecute({ url, token, userUuid: CALLER });
  return {
    name: 'execute over HTTP, durable',
    roundTrip: () => execute(CODE, RESULT),
    close: () => gateway.destroy(),
  };
}

/** A plain Jupyter server: REST and WebSocket. */
export async function startJupyter(): Promise<Contender> {
  return inTurns(await startPlainJupyterServer(), CODE, RESULT);
}

export function predecessor(kind: PredecessorKind): () => Promise<Contender> {
  return async () => inTurns(await startPredecessor({ kind, idleWorkers: 1 }), CODE, RESULT);
}
