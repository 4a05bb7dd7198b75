import type { KernelMessage } from '../kernel/frames/messages.ts';
import { type ContextNews, createContextNews } from './contexts/contextNews.ts';
import type { WorkerContexts } from './contexts/workerContexts.ts';
import { createFinishing, type Finishing } from './finishing.ts';
import type { InputDelivery } from './input/inputDelivery.ts';
import { createReceiving } from './receiving.ts';
import { createSending, type Sending, type SendingDeps } from './sending.ts';
import type { Writer } from './storing/writer.ts';
import type { WorkerSession } from './workerSession.ts';

export interface ConversationDeps extends SendingDeps {
  readonly session: WorkerSession;
  readonly contexts: WorkerContexts;
  readonly writer: Writer;
  readonly input: Pick<InputDelivery, 'begun' | 'ended'>;
  readonly now: () => Date;
}

/** The messages between this gateway and one worker's agent, and their effects. */
export interface Conversation {
  readonly sending: Sending;
  readonly finishing: Finishing;
  readonly contextNews: ContextNews;
  readonly receive: (message: KernelMessage) => void;
}

export function createConversation(deps: ConversationDeps): Conversation {
  const sending = createSending(deps);
  const finishing = createFinishing({ ...deps, sending });
  const contextNews = createContextNews({ ...deps, sending, finishing });
  const receive = createReceiving({ ...deps, sending, contextNews, finish: finishing.finish });
  return { sending, finishing, contextNews, receive };
}
