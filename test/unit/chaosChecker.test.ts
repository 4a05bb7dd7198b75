/** Tests the checker of chaos runs: it finds nothing in a sound history, and it finds each bug that a test plants. */
import { describe, expect, it } from 'vitest';
import { checkEnvironments } from '../../chaos/check/checkAccess.ts';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import type { FileRecord, History, StreamRecord, WatchRecord } from '../../chaos/history.ts';
import { faultTable, summary, workDone } from '../../chaos/report.ts';
import type { DomainEvent } from '../../src/domain/events.ts';
import type { EnvironmentId } from '../../src/domain/ids.ts';
import { NO_OPTIONS } from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
import { environmentRequested } from '../../testkit/events.ts';
import { foundIn, soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();

/** The checker's findings in the sound history with these parts replaced. */
const found = (change: Partial<History>) => foundIn(sound, change);

const idOf = (key: string): string => {
  const call = sound.calls.find((each) => each.key === key && each.answer !== null);
  if (!call?.answer?.id) throw new Error(`There is no ${key}.`);
  return call.answer.id;
};
const firstStream = (): StreamRecord => {
  const [stream] = sound.streams;
  if (!stream) throw new Error('There is no stream.');
  return stream;
};
const withStream = (change: Partial<StreamRecord>): Partial<History> => ({
  streams: [{ ...firstStream(), ...change }, ...sound.streams.slice(1)],
});
/** The history's events without those of some streams, numbered as if these streams had never existed. */
const withoutStreams = (...ids: string[]) =>
  sound.events
    .filter(({ streamId }) => !ids.includes(streamId))
    .map((event, index) => ({ ...event, position: index + 1 }));
const withEvent = (streamId: string, change: (event: DomainEvent) => DomainEvent | null) =>
  sound.events
    .flatMap((each) => {
      const event = each.streamId === streamId ? change(each.event) : each.event;
      return event ? [{ ...each, event }] : [];
    })
    .map((event, index) => ({ ...event, position: index + 1 }));

describe('a sound history', () => {
  it('has every kind of call and fault in it, and no finding', () => {
    expect(found({})).toEqual([]);
    expect(sound.outputs.some(({ kind }) => kind === 'gap')).toBe(true);
    expect(new Set(sound.calls.map(({ operation }) => operation)).size).toBe(7);
  });

  it('is summarised in one line and a table', () => {
    expect(summary(sound, checkHistory(sound))).toBe('4 faults, 0 lost, 0 doubled, 0 orphans');
    expect(faultTable(sound)).toHaveLength(2 + 4);
    expect(workDone(sound)).toBe(
      '34 cells and 9 commands, 2 of them with 6 calls of sendInput, in 6 sessions with 5 more contexts',
    );
    expect(faultTable(sound).join('\n')).toContain('1 workers lost, 1 sessions ended');
  });
});

describe('a session of an environment other than the one asked for', () => {
  it('is reported, and a session of the right environment is not', () => {
    const environmentId = newId<EnvironmentId>();
    const requested = environmentRequested({ environmentId, name: 'science' });
    const [environment] = requested.events;
    const [first] = sound.events;
    if (!environment || !first) throw new Error('There is no event.');
    const judged = (asked: string | null, given: EnvironmentId | null) => {
      const events = sound.events.map((each) => ({
        ...each,
        event: within(each.event, asked, given),
      }));
      return checkEnvironments({ ...sound, events: [{ ...first, event: environment }, ...events] });
    };
    expect(judged('science', environmentId)).toEqual([]);
    expect(judged(null, null)).toEqual([]);
    const [found] = judged('science', null);
    expect(found).toEqual({ type: 'lost', what: 'ann asked for science and got null' });
    expect(judged(null, environmentId)).toContainEqual({
      type: 'lost',
      what: 'ann asked for null and got science',
    });
  });

  /** The event, with the environment that it asks for, or in which its worker is made. */
  function within(
    event: DomainEvent,
    asked: string | null,
    given: EnvironmentId | null,
  ): DomainEvent {
    if (event.type === 'WorkerRequested' && given)
      return { ...event, data: { ...event.data, environmentId: given } };
    if (event.type === 'SessionOpened' && asked)
      return { ...event, data: { ...event.data, options: { ...NO_OPTIONS, environment: asked } } };
    return event;
  }
});

describe('a lost batch', () => {
  it('is reported because a client had received it', () => {
    const lost = ['ann-2', 'ann-3'].map(idOf);
    const outputs = sound.outputs.filter(({ executionId }) => !lost.includes(executionId));
    const all = found({ events: withoutStreams(...lost), outputs });
    expect(all).toContain(
      `lost: execute of ann, key ann-3 was told execution ${lost[1]}, which is not recorded`,
    );
  });

  it('is reported because of the counter, though no client had received it', () => {
    const outputs = sound.outputs.filter(({ executionId }) => executionId !== idOf('ann-2'));
    const calls = sound.calls.filter(({ key }) => key !== 'ann-2');
    expect(found({ events: withoutStreams(idOf('ann-2')), outputs, calls, watches: [] })).toEqual([
      expect.stringMatching(/^lost: 1 more ran before ann-3 .* the last was ann-2$/),
    ]);
  });

  it('is reported when its end is missing', () => {
    const events = withEvent(idOf('ann-2'), (event) =>
      event.type === 'ExecutionFinished' ? null : event,
    );
    expect(found({ events })).toContain(`lost: execution ${idOf('ann-2')} has no end`);
  });
});

describe('a doubled run', () => {
  /** The history if this key had run twice: each later run of the kernel has a place that is one higher. */
  function ranTwice(key: string) {
    const from = sound.outputs.findIndex(({ executionId }) => executionId === idOf(key));
    const life = /^@(\w+)/.exec(sound.outputs[from]?.text ?? '')?.[1];
    return (text: string, index: number) => {
      const mark = new RegExp(`^@${life} (\\d+)`).exec(text);
      return mark && index > from ? text.replace(mark[0], `@${life} ${Number(mark[1]) + 1}`) : text;
    };
  }

  it('is reported because of the next counter', () => {
    const raise = ranTwice('ann-2');
    const outputs = sound.outputs.map((each, index) => ({
      ...each,
      text: raise(each.text, index),
    }));
    expect(found({ outputs })).toContainEqual(
      expect.stringMatching(/^doubled: 1 more ran before ann-3/),
    );
  });

  it("is reported because of the kernel's own list", () => {
    const outputs = sound.outputs.map((each) =>
      each.executionId === idOf('bob-3')
        ? { ...each, text: each.text.replace(/^bob-2 /, 'bob-2 bob-2 ') }
        : each,
    );
    expect(found({ outputs })).toContainEqual(
      expect.stringMatching(/^doubled: bob-2 ran twice in life/),
    );
  });

  it('is reported when a key was answered with two executions', () => {
    const calls = sound.calls.map((call, index) =>
      call.key === 'ann-2' && index === sound.calls.findLastIndex(({ key }) => key === 'ann-2')
        ? { ...call, answer: call.answer && { ...call.answer, id: idOf('ann-3') } }
        : call,
    );
    expect(found({ calls })).toContainEqual(
      expect.stringMatching(/^doubled: key ann-2 was answered with/),
    );
  });

  it('is reported when an execution ends twice', () => {
    const id = idOf('ann-3');
    const ends = sound.events.filter(
      ({ streamId, event }) => streamId === id && event.type === 'ExecutionFinished',
    );
    const position = sound.events.length;
    const events = [
      ...sound.events,
      ...ends.map((end) => ({ ...end, position: position + 1, version: end.version + 1 })),
    ];
    expect(found({ events })).toEqual([
      `doubled: stream execution-${id} goes on after its end`,
      `doubled: execution ${id} has 2 ends`,
    ]);
  });
});

describe('an orphan', () => {
  const withServing = (change: Partial<History['rest']['serving']>): Partial<History> => ({
    rest: { ...sound.rest, serving: { ...sound.rest.serving, ...change } },
  });
  const stranger = 'dddddddd-0000-7000-8000-000000000000';

  it.each([
    ['containers', [...sound.rest.serving.containers, stranger], 'container of'],
    ['workers', [...sound.rest.serving.workers, stranger], 'has no container'],
    ['leases', [`worker-${stranger}`], 'lease worker-'],
    ['socketFolders', [...sound.rest.serving.workers, stranger], 'folder of'],
    ['unfinished', [stranger], 'goes on'],
    ['waiting', 2, 'calls wait for a worker'],
    [
      'processes',
      [{ ...sound.rest.serving.processes[0], ofUser: 3 }],
      'processes in worker .*: 3 of',
    ],
    ['processes', [{ ...sound.rest.serving.processes[0], strangers: 1 }], 'and 1 strangers'],
  ])('is reported at rest, in %s', (name, value, what) => {
    expect(found(withServing({ [name]: value }))).toEqual([
      expect.stringMatching(new RegExp(`^orphan: .*${what}`)),
    ]);
  });

  it('is reported after all gateways have stopped, and after down', () => {
    const stopped = { ...sound.rest.stopped, connections: ['commits'] };
    const down = { ...sound.rest.down, containers: [stranger], leases: ['upkeep'] };
    expect(found({ rest: { ...sound.rest, stopped, down } })).toEqual([
      'orphan: connection commits with all gateways stopped',
      'orphan: lease upkeep after down',
      `orphan: container of ${stranger} after down`,
    ]);
  });
});

describe('a wrong order', () => {
  it('is reported in what a subscriber received', () => {
    const [first, second, third, ...rest] = firstStream().items;
    const items = [first, third, second, ...rest].flatMap((item) => item ?? []);
    expect(found(withStream({ items }))).toEqual([
      expect.stringMatching(/^lost: what ann saw of .* has seq 3 out of order/),
    ]);
  });

  it('is reported in the stored lines, though their numbers are in order', () => {
    const swap: Readonly<Record<string, string>> = { '4:\n': '5:\n', '5:\n': '4:\n' };
    const spoil = <Item extends { text: string }>(item: Item) => ({
      ...item,
      text: swap[item.text] ?? item.text,
    });
    const outputs = sound.outputs.map(spoil);
    const streams = sound.streams.map((stream) => ({ ...stream, items: stream.items.map(spoil) }));
    expect(found({ outputs, streams })).toContainEqual(
      expect.stringMatching(/^lost: the stored output of .* out of order, and no gap says so$/),
    );
  });

  it('is reported when an execution ran before one that was accepted earlier', () => {
    const [one, two] = [idOf('ann-2'), idOf('ann-3')];
    const other: Readonly<Record<string, string>> = { [one]: two, [two]: one };
    const outputs = sound.outputs.map((each) => ({
      ...each,
      executionId: other[each.executionId] ?? each.executionId,
    }));
    expect(found({ outputs })).toContainEqual(
      expect.stringMatching(/^lost: ann-3 .* ran before ann-2/),
    );
  });
});

describe('a subscriber to all output of a user', () => {
  const withItems = (change: (items: WatchRecord['items']) => WatchRecord['items']) =>
    found({ watches: sound.watches.map((watch) => ({ ...watch, items: change(watch.items) })) });

  it('may have begun late', () => {
    expect(withItems((items) => items.slice(2))).toEqual([]);
  });

  it.each<[string, (items: WatchRecord['items']) => WatchRecord['items'], string]>([
    ['something is left out', (items) => items.toSpliced(1, 1), 'lost: what ann watched has'],
    [
      'something comes twice',
      (items) => items.flatMap((item, index) => (index === 1 ? [item, item] : item)),
      'doubled: what ann watched has',
    ],
    ['the end does not come', (items) => items.slice(0, -1), 'lost: what ann watched ends before'],
  ])('is reported when %s', (_name, change, what) => {
    expect(withItems(change)).toContainEqual(expect.stringContaining(what));
  });
});

describe('a file', () => {
  /** The findings if one operation on a file had ended in another way. */
  const withFile = (operation: FileRecord['operation'], change: Partial<FileRecord>, which = 0) => {
    const changed = sound.files.filter((each) => each.operation === operation)[which];
    return found({
      files: sound.files.map((each) => (each === changed ? { ...each, ...change } : each)),
    });
  };
  const got = (sha256: string | null) => ({ answer: { sha256, names: [] } });

  it('is reported when a download got bytes that nobody sent', () => {
    expect(withFile('download', got('half of third'), 2)).toEqual([
      'lost: one.bin of ann was read torn',
    ]);
  });

  it('is reported when a download got content that had been replaced', () => {
    expect(withFile('download', got('second'), 2)).toEqual([
      'lost: one.bin of ann was read with older content',
    ]);
  });

  it('may have the content of an unanswered attempt, which took effect later', () => {
    const unsure = { failures: { 'no answer in time': 1 } };
    const files = sound.files.map((each) => {
      if (each.sha256 === 'second') return { ...each, ...unsure };
      return each.answer?.sha256 === 'third' ? { ...each, ...got('second') } : each;
    });
    expect(found({ files })).toEqual([]);
  });

  it('is reported when it is gone though its session goes on', () => {
    expect(withFile('download', got(null))).toEqual([
      'lost: one.bin of ann is gone, and its session has not ended',
    ]);
  });

  it('is reported when an answered upload is not recorded, or a recorded one was not sent', () => {
    const events = sound.events.map((each) =>
      each.event.type === 'FileWritten' && each.event.data.sha256 === 'first'
        ? { ...each, event: { ...each.event, data: { ...each.event.data, sha256: 'other' } } }
        : each,
    );
    expect(found({ events })).toEqual([
      'lost: the upload of one.bin by ann is not recorded',
      expect.stringMatching(/^lost: .* recorded a file that nobody sent$/),
    ]);
  });

  it('is reported when an upload was recorded more often than it was attempted', () => {
    const twice = sound.events.filter(
      ({ event }) =>
        event.type === 'FileChangeRequested' ||
        (event.type === 'FileWritten' && event.data.sha256 === 'first'),
    );
    const [requested, written] = [
      twice[0],
      twice.find(({ event }) => event.type === 'FileWritten'),
    ];
    const again = [requested, written].flatMap((each, index) =>
      each
        ? [
            {
              ...each,
              streamId: 'again',
              version: index + 1,
              position: sound.events.length + index + 1,
            },
          ]
        : [],
    );
    expect(found({ events: [...sound.events, ...again] })).toEqual([
      'doubled: the upload of one.bin by ann is recorded 2 times',
    ]);
  });

  it('is reported when it is left in the home and no client has uploaded it', () => {
    const answer = { sha256: null, names: ['one.bin', '.one.bin.partial'] };
    expect(withFile('list', { answer })).toEqual([
      'orphan: file .one.bin.partial in the home of ann',
    ]);
    expect(withFile('list', { answer: null })).toEqual([
      'lost: the files of ann could not be listed',
    ]);
  });
});

describe('a silent gap', () => {
  it('is reported in what a subscriber received', () => {
    const items = firstStream()
      .items.filter(({ text }) => text !== '7:\n')
      .map((item, index) => ({ ...item, seq: index + 1 }));
    expect(found(withStream({ items }))).toEqual([
      expect.stringMatching(/^lost: what ann saw of .* is not what is stored$/),
    ]);
  });

  it('is reported in what is stored', () => {
    const drop = <Item extends { text: string; seq: number }>(items: readonly Item[]) =>
      items
        .filter(({ text }) => text !== '7:\n')
        .map((item, index) => ({ ...item, seq: index + 1 }));
    const id = firstStream().executionId;
    const own = drop(sound.outputs.filter(({ executionId }) => executionId === id));
    const outputs = [...sound.outputs.filter(({ executionId }) => executionId !== id), ...own];
    expect(
      found({ outputs, watches: [], ...withStream({ items: drop(firstStream().items) }) }),
    ).toEqual([
      `lost: the stored output of ${id} lacks lines, or has them out of order, and no gap says so`,
    ]);
  });

  it('is reported when no fault explains a marked gap', () => {
    expect(found({ faults: sound.faults.slice(1) })).toEqual([
      expect.stringMatching(/has a gap \(replay_overflow\) that no fault explains$/),
    ]);
  });
});

describe('an end without a cause', () => {
  it('is reported when a session, its worker and its code are lost without a fault', () => {
    const faults = sound.faults.filter(({ name }) => name !== 'container: killed');
    expect(found({ faults })).toEqual([
      expect.stringMatching(/^lost: session .* of ann ended as worker-lost without a cause$/),
      expect.stringMatching(/^lost: worker .* was lost \(exited\) without a cause$/),
    ]);
  });

  it('is reported when a kernel died without a fault', () => {
    const faults = sound.faults.filter(({ name }) => name === 'PostgreSQL: kill -9');
    expect(found({ faults })).toContainEqual(
      expect.stringMatching(/^lost: execution .* ended as ERROR \(KernelDied\) without a cause$/),
    );
  });

  describe('a loss of variables that no execution reports', () => {
    const events = sound.events.map((each) =>
      each.event.type === 'ExecutionFinished'
        ? {
            ...each,
            event: { ...each.event, data: { ...each.event.data, stateLost: false } },
          }
        : each,
    );
    const shown = expect.stringMatching(
      /^lost: variables were lost between .*, and nobody was told$/,
    );

    it('is reported', () => {
      expect(found({ events })).toContainEqual(shown);
    });

    it('is reported even if the user restarted the kernel at that time', () => {
      const restarts = sound.calls.map((call) => ({
        ...call,
        operation: 'restartKernel' as const,
      }));
      expect(found({ events, calls: [...sound.calls, ...restarts] })).toContainEqual(shown);
    });
  });

  describe('a loss reported to an execution that lost nothing', () => {
    const id = idOf('ann-3');
    const told = withEvent(id, (event) =>
      event.type === 'ExecutionFinished'
        ? { ...event, data: { ...event.data, stateLost: true } }
        : event,
    );

    it('is reported', () => {
      expect(found({ events: told })).toContain(
        'lost: ann-3 was told that its state is lost; it is not',
      );
    });

    it('is correct for all executions that waited when the kernel was replaced', () => {
      const end = told.findIndex((each) => each.streamId === id && each.version === 2);
      const [asked, finished] = [told[end - 1], told[end]];
      if (asked?.event.type !== 'ExecutionRequested' || !finished) throw new Error('No ann-3.');
      const { sessionId, at } = asked.event.data;
      const data = { at, reason: 'died', executionId: null } as const;
      const restarted = {
        ...finished,
        streamKind: 'session' as const,
        streamId: sessionId,
        version: 2,
        event: { type: 'KernelRestarted' as const, data },
      };
      const events = told
        .toSpliced(end, 0, restarted)
        .map((event, index) => ({ ...event, position: index + 1 }));
      expect(found({ events })).not.toContain(
        'lost: ann-3 was told that its state is lost; it is not',
      );
    });
  });

  it('is reported when a session was released that nobody asked to release', () => {
    const calls = sound.calls.filter(({ operation }) => operation !== 'release');
    expect(found({ calls })).toContainEqual(
      expect.stringMatching(/^lost: session .* of bob ended as released without a cause$/),
    );
  });

  it('is reported when a gateway ended by itself, or with an error', () => {
    const exits = [{ gateway: 1, at: 0, how: 'SIGSEGV' }];
    expect(found({ exits, rest: { ...sound.rest, exitCodes: [0, 1] } })).toEqual([
      'lost: gateway 1 ended by itself: SIGSEGV',
      'lost: a gateway, or down, ended with 1 instead of 0',
    ]);
  });
});
