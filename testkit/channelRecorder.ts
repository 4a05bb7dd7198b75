/** Opens a channel, records every callback to its owner in order, and lets a test wait for a condition. */
import { EventEmitter, once } from 'node:events';
import { pino } from 'pino';
import { createMessageCounts, type MessageCounts } from '../src/domain/messageCounts.ts';
import {
  type KernelChannel,
  type KernelChannelDeps,
  openKernelChannel,
} from '../src/kernel/channel/kernelChannel.ts';
import type { KernelMessage } from '../src/kernel/frames/messages.ts';

export interface RecordedChannel {
  readonly channel: KernelChannel;
  readonly counts: Readonly<MessageCounts>;
  readonly messages: KernelMessage[];
  /** All callbacks except `onMessage`, in order: `open`, `hello boot-1`, `state connecting`, `unreachable …`. */
  readonly told: string[];
  /** Resolves when `isMet` holds. It is checked after each callback. */
  until(isMet: () => boolean): Promise<void>;
}

export function recordChannel(
  deps: Pick<KernelChannelDeps, 'address'> & Partial<KernelChannelDeps>,
): RecordedChannel {
  const bus = new EventEmitter();
  const counts = createMessageCounts();
  const messages: KernelMessage[] = [];
  const told: string[] = [];
  const tell = (what: string): void => {
    told.push(what);
    bus.emit('told');
  };
  const channel = openKernelChannel({
    epoch: 1,
    after: 0,
    bootId: '',
    logger: pino({ level: 'silent' }),
    counts,
    onHello: ({ bootId }, isNewBoot) => tell(`hello ${bootId}${isNewBoot ? ' new' : ''}`),
    onOpen: () => tell('open'),
    onState: (state) => tell(`state ${state}`),
    onFenced: () => tell('fenced'),
    onUnreachable: (error) => tell(`unreachable ${error.message}`),
    ...deps,
    onMessage: (message) => {
      messages.push(message);
      deps.onMessage?.(message);
      bus.emit('told');
    },
  });
  const until = async (isMet: () => boolean): Promise<void> => {
    while (!isMet()) await once(bus, 'told');
  };
  return { channel, counts, messages, told, until };
}
