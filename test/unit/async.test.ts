/** The functions for waiting and closing that all rooms of src/ use. */
import { getEventListeners, once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { backOffMs } from '../../src/async/backOffMs.ts';
import { closeAll } from '../../src/async/closeAll.ts';
import { createInOrder } from '../../src/async/inOrder.ts';
import { onAbort } from '../../src/async/onAbort.ts';
import { pause } from '../../src/async/pause.ts';
import { pollUntil } from '../../src/async/pollUntil.ts';
import { withAbort } from '../../src/async/withAbort.ts';
import { within } from '../../src/async/within.ts';

const never = new Promise<never>(() => undefined);

describe('onAbort', () => {
  it('calls the listener when the signal is aborted, unless the listener was removed', () => {
    const signal = new AbortController();
    const heard: string[] = [];
    onAbort(signal.signal, () => heard.push('one'));
    const off = onAbort(signal.signal, () => heard.push('two'));
    off();
    expect(heard).toEqual([]);
    signal.abort();
    expect(heard).toEqual(['one']);
    expect(getEventListeners(signal.signal, 'abort')).toEqual([]);
  });

  it('calls the listener at once if the signal is aborted already', () => {
    const heard: string[] = [];
    onAbort(AbortSignal.abort(), () => heard.push('one'));
    expect(heard).toEqual(['one']);
  });
});

describe('within', () => {
  it('settles as the work does, and leaves no timer', async () => {
    vi.useFakeTimers();
    const late = vi.fn();
    expect(await within(1_000, Promise.resolve('done'), late)).toBe('done');
    await expect(within(1_000, Promise.reject(new Error('failed')), late)).rejects.toThrow(
      'failed',
    );
    expect(vi.getTimerCount()).toBe(0);
    expect(late).not.toHaveBeenCalled();
    vi.useRealTimers();
  });

  it('settles as onLate does once the time is over', async () => {
    expect(await within(1, never, () => 'late')).toBe('late');
    const failing = within(1, never, () => {
      throw new Error('too late');
    });
    await expect(failing).rejects.toThrow('too late');
  });

  it('lets onLate wait longer', async () => {
    const { promise, resolve } = deferred<string>();
    const waiting = within(1, promise, () => {
      resolve('after all');
      return within(60_000, promise, () => 'not even then');
    });
    expect(await waiting).toBe('after all');
  });

  it('ignores a failure after its time limit', async () => {
    const { promise, reject } = deferred<string>();
    expect(await within(1, promise, () => 'late')).toBe('late');
    // An unhandled rejection would fail this run.
    reject(new Error('much later'));
    await pause(1);
  });
});

describe('pause', () => {
  it('ends at once when the signal is aborted, before the pause or during it', async () => {
    await pause(3_600_000, AbortSignal.abort());
    const closing = new AbortController();
    const pausing = pause(3_600_000, closing.signal);
    closing.abort();
    await pausing;
  });
});

describe('withAbort', () => {
  it('gives a signal that is aborted with the given one, and leaves no listener on the given one', async () => {
    const stopping = new AbortController();
    const waiting = withAbort(stopping.signal, async ({ signal }) => {
      await once(signal, 'abort');
      signal.throwIfAborted();
    });
    expect(getEventListeners(stopping.signal, 'abort')).toHaveLength(1);
    stopping.abort(new Error('The gateway stops.'));
    await expect(waiting).rejects.toThrow('The gateway stops.');
    expect(getEventListeners(stopping.signal, 'abort')).toHaveLength(0);
  });

  it('aborts only its own signal: after the work, or at once if the given one is aborted already', async () => {
    const { signal } = new AbortController();
    const died = withAbort(signal, async (own) => {
      own.abort(new Error('died'));
      own.signal.throwIfAborted();
    });
    await expect(died).rejects.toThrow('died');
    const own = await withAbort(signal, async (controller) => controller);
    expect([own.signal.aborted, signal.aborted]).toEqual([true, false]);
    const late = withAbort(AbortSignal.abort(), async ({ signal: { aborted } }) => aborted);
    expect(await late).toBe(true);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('backOffMs', () => {
  const backOff = { firstMs: 20, maxMs: 1_000 };

  it('doubles from the first pause up to the limit, after any number of attempts', () => {
    const most = [0, 1, 2, 5, 6, 2_000].map((attempt) => backOffMs(backOff, attempt, () => 1));
    expect(most).toEqual([20, 40, 80, 640, 1_000, 1_000]);
  });

  it('is a random part of that, at least half of it', () => {
    expect(backOffMs(backOff, 0, () => 0)).toBe(10);
    expect(backOffMs(backOff, 0, () => 0.5)).toBe(15);
    const some = Array.from({ length: 100 }, () => backOffMs(backOff, 0));
    expect(Math.min(...some)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...some)).toBeLessThan(20);
    expect(new Set(some).size).toBeGreaterThan(50);
  });
});

describe('pollUntil', () => {
  it('looks at once and then again, and resolves with what it finds', async () => {
    const seen = [null, undefined, false, 'there'];
    expect(await pollUntil({ everyMs: 1, limitMs: 60_000 }, () => seen.shift())).toBe('there');
    expect(seen).toEqual([]);
  });

  it('resolves with null when the time is over', async () => {
    expect(await pollUntil({ everyMs: 1, limitMs: 5 }, async () => false)).toBe(null);
  });

  it('fails if a look fails', async () => {
    const look = () => Promise.reject(new Error('cannot look'));
    await expect(pollUntil({ everyMs: 1, limitMs: 60_000 }, look)).rejects.toThrow('cannot look');
  });
});

describe('closeAll', () => {
  it('closes in reverse order, one after the other, whatever fails', async () => {
    const closed: string[] = [];
    const closing = (name: string) => async () => {
      await pause(1);
      closed.push(name);
    };
    const failed = new Error('refused');
    const thrown = new Error('thrown at once');
    const closers = [
      closing('first'),
      () => Promise.reject(failed),
      closing('second'),
      () => {
        throw thrown;
      },
      closing('third'),
    ];
    const error = await closeAll(closers).catch((each: unknown) => each);
    expect(closed).toEqual(['third', 'second', 'first']);
    expect(error).toMatchObject({ errors: [thrown, failed] });
    expect(closers).toEqual([]);
    await closeAll(closers);
  });
});

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

describe('tasks in order', () => {
  it('run one at a time for each name, in the order of the calls, even after a failure', async () => {
    const { run } = createInOrder(10);
    const log: string[] = [];
    const task = (name: string, text: string, fails = false) =>
      run(name, async () => {
        log.push(`${text} begins`);
        await pause(1);
        log.push(`${text} ends`);
        if (fails) throw new Error(text);
        return text;
      });
    const failing = task('a', '1', true);
    const others = [task('a', '2'), task('b', '3')];
    await expect(failing).rejects.toThrow('1');
    expect(await Promise.all(others)).toEqual(['2', '3']);
    const ofA = log.filter((line) => !line.startsWith('3'));
    expect(ofA).toEqual(['1 begins', '1 ends', '2 begins', '2 ends']);
    expect(log.indexOf('3 begins')).toBeLessThan(log.indexOf('1 ends'));
  });

  it('are refused if too many with the same name wait, and accepted again later', async () => {
    const { run } = createInOrder(2);
    const { promise, resolve } = deferred<string>();
    const waiting = [run('a', () => promise), run('a', () => promise)];
    expect(run('a', () => promise)).toBeNull();
    expect(run('b', async () => 'free')).not.toBeNull();
    resolve('done');
    expect(await Promise.all(waiting)).toEqual(['done', 'done']);
    await pause(0);
    expect(await run('a', async () => 'again')).toBe('again');
  });
});
