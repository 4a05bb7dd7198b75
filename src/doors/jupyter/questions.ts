/**
 * Translates the requests that an idle kernel answers itself, and their answers, between Jupyter's protocol and the
 * service.
 */
import type { KernelAnswer, KernelQuestion } from '../../domain/kernelQuestion.ts';
import type { Fields } from '../shared/body.ts';

/** One kind of request. If the kernel does not answer, `answer` is null, and the reply says that nothing is known. */
interface Question {
  readonly question: (content: Fields) => KernelQuestion;
  readonly reply: (answer: KernelAnswer | null, content: Fields) => Fields;
}

/** By the type of the message. */
export const QUESTIONS: ReadonlyMap<string, Question> = new Map<string, Question>([
  ['complete_request', { question: completionIn, reply: completion }],
  ['inspect_request', { question: inspectionIn, reply: inspection }],
  ['is_complete_request', { question: wholeIn, reply: whole }],
  ['history_request', { question: historyIn, reply: history }],
]);

function completionIn(content: Fields): KernelQuestion {
  return { type: 'complete', code: codeIn(content), cursor: cursorIn(content) };
}

function completion(answer: KernelAnswer | null, content: Fields): Fields {
  const cursor = cursorIn(content);
  const none = { matches: [], cursorStart: cursor, cursorEnd: cursor };
  const { matches, cursorStart, cursorEnd } = answer?.type === 'complete' ? answer : none;
  const place = { cursor_start: cursorStart, cursor_end: cursorEnd };
  return { status: 'ok', matches, ...place, metadata: {} };
}

function inspectionIn(content: Fields): KernelQuestion {
  const detail = content.detail_level === 1 ? 1 : 0;
  return { type: 'inspect', code: codeIn(content), cursor: cursorIn(content), detail };
}

function inspection(answer: KernelAnswer | null): Fields {
  const { found, data } = answer?.type === 'inspect' ? answer : { found: false, data: {} };
  return { status: 'ok', found, data, metadata: {} };
}

function wholeIn(content: Fields): KernelQuestion {
  return { type: 'isComplete', code: codeIn(content) };
}

function whole(answer: KernelAnswer | null): Fields {
  if (answer?.type !== 'isComplete') return { status: 'unknown' };
  const { status, indent } = answer;
  return { status, ...(status === 'incomplete' && { indent }) };
}

function historyIn(content: Fields): KernelQuestion {
  const access = content.hist_access_type;
  const number = (name: string) => {
    const value = content[name];
    return typeof value === 'number' ? value : undefined;
  };
  return {
    type: 'history',
    access: access === 'range' || access === 'search' ? access : 'tail',
    raw: content.raw !== false,
    output: content.output === true,
    count: number('n'),
    start: number('start'),
    stop: number('stop'),
    session: number('session'),
    pattern: typeof content.pattern === 'string' ? content.pattern : undefined,
    unique: content.unique === true,
  };
}

function history(answer: KernelAnswer | null, content: Fields): Fields {
  const entries = answer?.type === 'history' ? answer.entries : [];
  const cells = entries.map(({ session, line, input, output }) =>
    content.output === true ? [session, line, [input, output]] : [session, line, input],
  );
  return { status: 'ok', history: cells };
}

function codeIn({ code }: Fields): string {
  return typeof code === 'string' ? code : '';
}

/** Where the cursor is, in code points. If the client gives no position, the cursor is at the end. */
function cursorIn(content: Fields): number {
  const { cursor_pos: cursor } = content;
  return typeof cursor === 'number' ? cursor : [...codeIn(content)].length;
}
