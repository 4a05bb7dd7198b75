/**
 * A worker that sends anything, over a real WebSocket: valid messages arrive once and in order, messages for other
 * executions have no effect, and another worker is served as usual.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { Output } from '../../src/domain/output.ts';
import { receive, startProgress } from '../../src/kernel/execution.ts';
import type { KernelMessage } from '../../src/kernel/frames/messages.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type RecordedChannel, recordChannel } from '../../testkit/kernelRunner.ts';
import { frame, okReply, status, stream, verdict } from '../support/frames.ts';
import { liveBytes } from '../support/ownProcess.ts';
import { type ScriptedAgent, startScriptedAgent } from '../support/scriptedAgent.ts';
import { fc } from '../support/seeded.ts';

const ID = 'e1' as ExecutionId;
const PATIENCE_MS = 60_000;
/** The memory that may remain in use: code that was compiled meanwhile, and object shapes. */
const MAX_LEFT_BYTES = 8 * 1_048_576;

let neighbour: ScriptedAgent;
let neighbourChannel: RecordedChannel;

function open(agent: ScriptedAgent): RecordedChannel {
  const address = socketAddress(agent.socketPath);
  // 0 gives the shortest back-off.
  return recordChannel({ address, random: () => 0 });
}

beforeAll(async () => {
  neighbour = await startScriptedAgent();
  neighbourChannel = open(neighbour);
});
afterAll(async () => {
  await neighbourChannel.channel.close();
  await neighbour.close();
});

/** The messages of one execution from an honest agent. */
function honest(texts: readonly string[]): ((seq: number) => string)[] {
  const options = (seq: number) => ({ parent: ID, seq, at: 1_000 });
  return [
    (seq) => status('busy', options(seq)),
    ...texts.map((text) => (seq: number) => stream(text, options(seq))),
    (seq) => status('idle', options(seq)),
    (seq) => okReply({ ...options(seq), metadata: verdict('finished') }),
  ];
}

function fold(messages: readonly KernelMessage[]) {
  const outputs: Output[] = [];
  const outcomes: (string | null)[] = [];
  let progress = startProgress(ID);
  for (const message of messages) {
    const step = receive(progress, message, { maxOutputBytes: 1_000_000 });
    progress = step.progress;
    outputs.push(...step.outputs);
    if (step.done !== null) outcomes.push(step.done.status);
  }
  return { outputs, outcomes };
}

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('\u0000', '\ud800', '\udfff\ud800', '"', '\\', '\u2028', '__proto__'),
);
const oddValue = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  oddText,
  fc.constantFrom(-1, 0, 0.5, 1e308, 8.65e15, 2 ** 31, 2 ** 53, null, true),
);
/** The parent that a message claims; never the running execution. */
const strangeParent = fc.oneof(
  fc.constantFrom({}, { msg_id: 'e0' }, { msg_id: 'e2' }, { msg_id: 'E1' }, { msg_id: ' e1' }),
  fc.constantFrom({ msg_id: ['e1'] }, { msg_id: { e1: 1 } }, { header: { msg_id: 'e1' } }, 'e1'),
  fc.constant({ msg_id: `e1${'x'.repeat(300)}` }),
  oddValue.filter((value) => (value as { msg_id?: unknown } | null)?.msg_id !== ID),
);
const anyType = fc.constantFrom(
  ...['status', 'stream', 'display_data', 'update_display_data', 'execute_result', 'error'],
  ...['clear_output', 'cellhouse_gap', 'execute_reply', 'execute_input', 'comm_open', 'hello', ''],
);
const anyContent = fc.oneof(
  fc.constantFrom(
    { execution_state: 'idle' },
    { execution_state: 'restarting', reason: 'died' },
    { status: 'ok', execution_count: 1e300 },
    { name: 'stdout', text: 'not yours' },
    { data: { 'text/plain': 'not yours' }, transient: { display_id: {} } },
  ),
  oddValue,
);

/** A correctly numbered message that belongs to another execution or to no execution, or that has no meaning. */
const strangeMessage = fc
  .record({
    type: anyType,
    content: anyContent,
    parent: strangeParent,
    channel: oddText,
    metadata: oddValue,
  })
  .chain((message) =>
    fc.constantFrom('iopub', 'shell', message.channel).map((channel) => ({ ...message, channel })),
  )
  .map(({ type, content, parent, channel, metadata }) => (seq: number) => {
    const value = JSON.parse(frame(type, content, { seq, channel, metadata })) as object;
    return JSON.stringify({ ...value, parent_header: parent });
  });

/** Something that breaks the protocol, since it is not the message with the seq `next`. */
const breach: fc.Arbitrary<(next: number) => string> = fc.oneof(
  oddText.map((text) => () => text),
  fc
    .constantFrom('{', '[]', 'null', '{"hello":{}}', '{"seq":', '['.repeat(100_000))
    .map((text) => () => text),
  fc.constant(() => `{"seq":${'9'.repeat(400)},"header":{"msg_type":"stream"},"content":{}}`),
  fc.constant(() => stream('no number', { parent: ID }).replace(',"seq":1', '')),
  // Repeated and skipped seqs, also as the second of two equal keys.
  fc
    .constantFrom(-(2 ** 53), -3, -1, 0.5, 1, 5, 2 ** 53)
    .map((by) => (next: number) => stream('out of place', { parent: ID, seq: next + by })),
  fc
    .constantFrom(-2, -1, 1)
    .map(
      (by) => (next: number) =>
        `{"seq":${next},${stream('twice', { parent: ID, seq: next + by }).slice(1)}`,
    ),
);

type Step =
  | { readonly do: 'say'; readonly frameOf: (seq: number) => string }
  | { readonly do: 'breach'; readonly textOf: (next: number) => string; readonly isBinary: boolean }
  | { readonly do: 'cut' | 'fragment' | 'ping' | 'close' | 'wait' };

const disturbance: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: strangeMessage.map((frameOf) => ({ do: 'say', frameOf }) as const) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(breach, fc.boolean())
      .map(([textOf, isBinary]) => ({ do: 'breach', textOf, isBinary }) as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('cut', 'fragment', 'ping', 'close', 'wait')
      .map((what) => ({ do: what }) as const),
  },
);

async function perform(step: Step, agent: ScriptedAgent, recorded: RecordedChannel) {
  if (step.do === 'say') agent.append(step.frameOf);
  else if (step.do === 'wait') await recorded.until(() => recorded.channel.state === 'open');
  else if (!agent.isConnected) return;
  else if (step.do === 'breach') {
    const text = step.textOf(agent.lastSeq + 1);
    agent.sendRaw(step.isBinary ? Buffer.from(text) : text);
  } else if (step.do === 'cut') agent.cut();
  else if (step.do === 'fragment') agent.sendFragment('{"seq":');
  else if (step.do === 'ping') agent.socket.ping('x'.repeat(100));
  else agent.closeWith(1011);
}

/** The honest messages in their order, with disturbances in between. */
const script = fc.record({
  texts: fc.array(
    oddText.filter((text) => text !== ''),
    { maxLength: 6 },
  ),
  disturbances: fc.array(fc.tuple(fc.nat(9), disturbance), { maxLength: 12, size: 'max' }),
});

async function play({
  texts,
  disturbances,
}: typeof script extends fc.Arbitrary<infer T> ? T : never) {
  const agent = await startScriptedAgent();
  const recorded = open(agent);
  try {
    await recorded.until(() => recorded.channel.state === 'open');
    for (const [at, frameOf] of honest(texts).entries()) {
      for (const [before, step] of disturbances)
        if (before === at) await perform(step, agent, recorded);
      agent.append(frameOf);
    }
    // This message is sent last: once it has arrived, everything else has.
    const last = agent.append((seq) => status('idle', { parent: 'end', seq }));
    await recorded.until(() => recorded.channel.lastSeq >= last);
    return { ...recorded, last };
  } finally {
    await recorded.channel.close();
    await agent.close();
  }
}

it(
  'messages for other executions, or with a wrong seq, change neither an execution nor another worker',
  async () => {
    await fc.assert(
      fc.asyncProperty(script, async (played) => {
        const said = neighbour.say('as ever');
        const { messages, counts, last } = await play(played);
        const { outputs, outcomes } = fold(messages);
        expect(outcomes).toEqual(['OK']);
        expect(outputs).toEqual(
          played.texts.map((text) => ({ kind: 'stream', name: 'stdout', text })),
        );
        const seqs = messages.map(({ seq }) => seq);
        expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => (a ?? 0) - (b ?? 0)));
        // Each numbered message is delivered exactly once, or counted.
        expect(messages.length + counts.invalid + counts.ignored).toBeGreaterThanOrEqual(last);
        await neighbourChannel.until(() => neighbourChannel.channel.lastSeq >= said);
      }),
      { numRuns: 80 },
    );
    expect(neighbourChannel.counts.connections).toBe(1);
  },
  PATIENCE_MS,
);

it(
  'a hostile worker leaves no memory in use, however often it connects',
  async () => {
    const hostile = fc.sample(script, { numRuns: 60, seed: 7 });
    const playAll = async () => {
      for (const each of hostile) await play(each);
    };
    await playAll();
    const [before, handles] = [liveBytes(), process.getActiveResourcesInfo().length];
    await playAll();
    await playAll();
    expect(liveBytes() - before).toBeLessThan(MAX_LEFT_BYTES);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles);
  },
  PATIENCE_MS,
);
