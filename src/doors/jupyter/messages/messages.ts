/** Makes the messages of one kernel. */
import type { Fields } from '../../shared/fields.ts';
import type { Channel, Header, Message } from '../wire/message.ts';
import { PROTOCOL_VERSION } from './parentHeader.ts';

/** In the headers of all messages that a kernel sends. */
const KERNEL_USERNAME = 'cellhouse';

export interface Sent {
  readonly channel: Channel;
  readonly type: string;
  readonly content: Fields;
}

export interface MessageFacts {
  readonly id: string;
  /** Identifies the kernel until its next restart. When it changes, clients drop what they wait for. */
  readonly session: string;
  readonly at: Date;
  /** The request that it answers. Null: none. */
  readonly parent: Header | null;
}

export function messageOf({ channel, type, content }: Sent, facts: MessageFacts): Message {
  const header = {
    msg_id: facts.id,
    msg_type: type,
    session: facts.session,
    username: KERNEL_USERNAME,
    date: facts.at.toISOString(),
    version: PROTOCOL_VERSION,
  };
  return { channel, header, parent_header: facts.parent ?? {}, metadata: {}, content };
}

/** A reply to a request. @param channel that of the request */
export function reply(channel: Channel, type: string, content: Fields): Sent {
  return { channel, type, content };
}

export type KernelStatus = 'starting' | 'idle' | 'busy' | 'restarting' | 'dead';

export function status(state: KernelStatus): Sent {
  return { channel: 'iopub', type: 'status', content: { execution_state: state } };
}
