/**
 * Measures what a door costs: `1+1` through each door of one gateway, beside the same through GraphQL, and the door for
 * Jupyter beside Debian's jupyter-server with the same client.
 *
 * `npm run bench -- doors [--samples N] [--warm-up N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { type CodeRunner, inTurns, type RoundTrip } from '../contenders/codeRunner.ts';
import { startPlainJupyterServer } from '../contenders/jupyterServer.ts';
import type { Bench, BenchResult, Comparison, Samples } from '../suite/bench.ts';
import { type Contender, takeTurns, withContenders } from '../suite/takeTurns.ts';
import { difference } from '../support/difference.ts';
import { graphqlCaller, jupyterCaller, mcpCaller, predecessorCaller, tokenFor } from './callers.ts';

/** As many as `execute` takes: V8 compiles what each door needs for itself. */
const WARM_UP = 1_000;
/** For Debian's server. It is Python, which does not compile, and the door is warm already. */
const WARM_UP_AGAIN = 30;
const SAMPLES = 400;
/** By how much a door may be slower than GraphQL. */
const MAX_MORE_MS = 1;
const CODE = '1+1';
const RESULT = '2';

export const doorsBench: Bench = {
  name: 'doors',
  about: "1+1 through each door, beside GraphQL; that for Jupyter also beside Debian's server",
  isInBareRun: true,
  run: async ({ isShort, args }) => {
    const options = {
      samples: { type: 'string', default: String(isShort ? 120 : SAMPLES) },
      'warm-up': { type: 'string', default: String(isShort ? 300 : WARM_UP) },
    } as const;
    const { values } = parseArgs({ args: [...args], options });
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      DOORS: 'predecessor,mcp,jupyter',
      MIN_IDLE_WORKERS: '4',
    });
    try {
      return await withContenders(startsAt(gateway), async (contenders) => {
        const turns = { samples: Number(values.samples), isShuffled: true };
        const warmUp = Number(values['warm-up']);
        const besideGraphql = toGraphql(await takeTurns(contenders, { ...turns, warmUp }));
        const [, , , jupyter] = contenders;
        const besideDebian = await withContenders([startDebian], ([debian]) =>
          takeTurns([debian, jupyter], { ...turns, warmUp: WARM_UP_AGAIN }),
        );
        return {
          ...besideGraphql,
          comparisons: [...besideGraphql.comparisons, compare(...besideDebian)],
        };
      });
    } finally {
      await gateway.destroy();
    }
  },
};

/** GraphQL and the doors. Each has a token and a session of its own. */
function startsAt(gateway: TestGateway) {
  const { url } = gateway;
  type Caller = (url: string, token: string) => RoundTrip;
  const overHttp = (name: string, door: string, caller: Caller) => async () =>
    inTurns(runner(name, caller(url, await tokenFor(gateway, door))), CODE, RESULT);
  return [
    overHttp('GraphQL', 'graphql', graphqlCaller),
    overHttp("the predecessor's door", 'predecessor', predecessorCaller),
    overHttp('the door for MCP', 'mcp', mcpCaller),
    async () => {
      const { roundTrip, close } = await jupyterCaller(url, await tokenFor(gateway, 'jupyter'));
      return inTurns(runner('the door for Jupyter', roundTrip, close), CODE, RESULT);
    },
  ] as const;
}

function runner(name: string, roundTrip: RoundTrip, close = () => {}): CodeRunner {
  return { name, roundTrip, close: async () => close() };
}

async function startDebian(): Promise<Contender> {
  return inTurns(await startPlainJupyterServer(), CODE, RESULT);
}

function toGraphql([graphql, ...doors]: readonly [Samples, ...Samples[]]): BenchResult {
  return {
    comparisons: doors.map((door) => compare(graphql, door)),
    figures: doors.map((door) =>
      difference(`${door.name}: more than GraphQL`, graphql, door, MAX_MORE_MS),
    ),
  };
}

function compare(base: Samples, measured: Samples): Comparison {
  return { name: `${measured.name} to ${base.name}`, unit: 'ms', base, measured };
}
