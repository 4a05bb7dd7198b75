/**
 * Collects, from the source, the messages with which the program asks an operator for something. What a message says
 * only when it runs is `…` here.
 *
 * Collected are: the texts of `logger.warn`, `logger.error` and `logger.fatal` (levels 40, 50 and 60) in `src`; the
 * texts of all errors that are made in {@link START_FILES}, which can end a start or a command, and what commands write
 * to standard error; and the texts of each `SetupError` in the scripts that operators run. A text that is passed in a
 * variable is found if the variable is a constant of the same file, or is returned by a function in
 * {@link RETURNED_BY}.
 *
 * Not collected are: errors of `cellhouse` about its own arguments ({@link ABOUT_ARGUMENTS}), which show what is right;
 * the answers to callers (docs/use/errors.md has them); what a build of an environment prints; and the log of the agent
 * in a worker.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parseSync } from 'oxc-parser';

const ROOT = new URL('../../', import.meta.url).pathname;
const HOLE = '…';

/** The files whose errors end a start or a command with a message. */
const START_FILES = [
  'src/cli/',
  'src/events/connection/client.ts',
  'src/events/migrations/migrate.ts',
  'src/events/openDatabase.ts',
  'src/gateway.ts',
  'src/pool/poolOfEngine.ts',
  'src/postgres/',
  'src/process/',
  'src/runtime/docker/dockerRuntime.ts',
  'src/runtime/docker/engineCalls.ts',
  'src/runtime/runtime.ts',
  'src/server/http/listen.ts',
];

/** The scripts that operators run. The others are for contributors. */
const SCRIPTS = ['scripts/setup/', 'scripts/setup.mjs', 'scripts/start.mjs', 'scripts/stop.mjs'];
/** The files of `scripts/setup` whose messages only contributors see. */
const FOR_CONTRIBUTORS = [
  'scripts/setup/notices.mjs',
  'scripts/setup/schemaFile.mjs',
  'scripts/setup/testTools.mjs',
];

/** They begin with an option, say what to name, show an example, or point at the usage. */
const ABOUT_ARGUMENTS = /^(--|Name (a|one|the) |Usage: )|Example: |--help/;
/** What the program writes before a message. */
const PREFIX = /^cellhouse( mcp)?: (?=.)/;

/**
 * Other messages in the files above that are not collected. Some are about arguments of commands. No operator sees the
 * others: they say that the program itself is wrong or that a caller must wait, or the caller catches them.
 */
const INNER = [
  // About arguments of commands.
  '…, not ….',
  'cellhouse environment list takes no name.',
  'Say what to do with the build: --watch, --rebuild or both.',
  // What others have said is passed on.
  HOLE,
  'There are more tokens than doors.',
  'The server listens on no port.',
  'This client is closed.',
  'The connection was lost.',
  'The query was lost.',
  'No answer in time.',
];

/** Functions that return messages: all texts that they return are collected. */
const RETURNED_BY: Readonly<Record<string, string>> = {
  'src/cli/forget.ts': 'nothingOf',
  'src/config/places.ts': 'besideService',
  'src/events/migrations/migrate.ts': 'tooOld',
  'src/events/wakeUps/wakeUps.ts': 'lossUpTo',
  'src/server/http/listen.ts': 'explain',
};

/** The files with a call whose text is not found, and why that is right. */
export const NOT_FOUND: Readonly<Record<string, string>> = {
  'src/cli/forget.ts': 'returned by nothingOf()',
  'src/cli/gatewayClient.ts': 'what the gateway answers',
  'src/cli/run.ts': 'what a command throws',
  'src/events/connection/client.ts':
    'the error for a query without an answer is passed on, with a text from above',
  'src/events/migrations/migrate.ts': 'returned by tooOld()',
  'src/server/graphql/graphqlHttp.ts': "Yoga's own warnings, about requests",
  'src/server/http/listen.ts': 'returned by explain()',
  'scripts/setup/engineApi.mjs': 'what the engine says of a build',
  'scripts/setup/runCommand.mjs': 'the end of what a command has printed',
};

export interface OperatorMessage {
  readonly file: string;
  /** With `…` for each part that is known only at run time. */
  readonly text: string;
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** All messages, and the calls whose text was not found. */
export function operatorMessages(): {
  readonly messages: readonly OperatorMessage[];
  readonly unknown: readonly string[];
} {
  const messages: OperatorMessage[] = [];
  const unknown: string[] = [];
  for (const file of [...sources('src', '.ts'), ...sources('scripts', '.mjs')]) {
    const isSource = file.startsWith('src/');
    const isStart = START_FILES.some((each) => file.startsWith(each));
    const isScript =
      SCRIPTS.some((each) => file.startsWith(each)) && !FOR_CONTRIBUTORS.includes(file);
    if (!isSource && !isScript) continue;
    const { program } = parseSync(file, readFileSync(ROOT + file, 'utf8'));
    const constants = constantsIn(program as unknown as Node);
    const add = (given: Node | undefined) => {
      const texts = textsOf(given, constants);
      if (texts.length === 0) unknown.push(file);
      for (const text of texts.map((each) => each.replace(PREFIX, '')))
        if (!INNER.includes(text) && !ABOUT_ARGUMENTS.test(text)) messages.push({ file, text });
    };
    for (const returned of returnsOf(program as unknown as Node, RETURNED_BY[file])) add(returned);
    for (const node of nodesIn(program as unknown as Node)) {
      if (isSource && isLogCall(node)) add((node.arguments as Node[]).at(-1));
      else if (isSource && isStart && isError(node)) add(messageArgument(node));
      else if (file.startsWith('src/cli/') && isPrinted(node)) add((node.arguments as Node[])[0]);
      else if (isScript && isNewOf(node, /^SetupError$/)) add((node.arguments as Node[])[0]);
    }
  }
  return { messages, unknown };
}

function sources(folder: string, extension: string): string[] {
  return readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => `${folder}/${name}`)
    .sort();
}

function* nodesIn(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const each of value) yield* nodesIn(each);
  else if (value !== null && typeof value === 'object') {
    if ('type' in value && typeof value.type === 'string') yield value as Node;
    for (const each of Object.values(value)) yield* nodesIn(each);
  }
}

/** The texts that the function of this name returns. */
function* returnsOf(program: Node, name: string | undefined): Generator<Node> {
  for (const node of nodesIn(program))
    if (node.type === 'FunctionDeclaration' && (node.id as Node).name === name)
      for (const { type, argument } of nodesIn(node.body))
        if (type === 'ReturnStatement' && isText(argument as Node)) yield argument as Node;
}

function isText({ type, value }: Node): boolean {
  return type === 'TemplateLiteral' || (type === 'Literal' && typeof value === 'string');
}

/** `logger.warn(…)`, `deps.logger.error(…)`. */
function isLogCall(node: Node): boolean {
  const callee = node.callee as Node | undefined;
  if (node.type !== 'CallExpression' || callee?.type !== 'MemberExpression') return false;
  const { object, property } = callee as unknown as { object: Node; property: Node };
  const of = object.type === 'MemberExpression' ? (object.property as Node) : object;
  return of.name === 'logger' && ['warn', 'error', 'fatal'].includes(String(property.name));
}

/** `console.error(…)`. */
function isPrinted(node: Node): boolean {
  const { object, property } = (node.callee ?? {}) as { object?: Node; property?: Node };
  return node.type === 'CallExpression' && object?.name === 'console' && property?.name === 'error';
}

function isError(node: Node): boolean {
  return isNewOf(node, /Error$/) && !isNewOf(node, /^(Aggregate|Type|Config|DatabaseAway)Error$/);
}

function isNewOf(node: Node, name: RegExp): boolean {
  return node.type === 'NewExpression' && name.test(String((node.callee as Node).name));
}

/** The second argument of a RuntimeError, whose first is its kind; otherwise the first. */
function messageArgument(node: Node): Node | undefined {
  const [first, second] = node.arguments as Node[];
  return (node.callee as Node).name === 'RuntimeError' ? second : first;
}

/** The initial values of all variables. */
function constantsIn(program: Node): ReadonlyMap<string, readonly Node[]> {
  const found = new Map<string, Node[]>();
  for (const node of nodesIn(program))
    if (node.type === 'VariableDeclarator' && node.init !== null) {
      const { name } = node.id as Node;
      if (typeof name === 'string')
        found.set(name, [...(found.get(name) ?? []), node.init as Node]);
    }
  return found;
}

/** The texts that an expression may have. The list is empty if nothing is known of the expression. */
function textsOf(
  node: Node | undefined,
  constants: ReadonlyMap<string, readonly Node[]>,
): readonly string[] {
  if (node === undefined) return [];
  const again = (each: Node | undefined) => textsOf(each, constants);
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string' ? [node.value] : [];
    case 'Identifier':
      return (constants.get(String(node.name)) ?? []).flatMap(again);
    case 'ConditionalExpression':
      return [...again(node.consequent as Node), ...again(node.alternate as Node)];
    case 'LogicalExpression':
      return [...again(node.left as Node), ...again(node.right as Node)];
    case 'TemplateLiteral': {
      const { quasis, expressions } = node as unknown as {
        readonly quasis: readonly { readonly value: { readonly cooked: string } }[];
        readonly expressions: readonly Node[];
      };
      return quasis.reduce<readonly string[]>(
        (texts, { value }, at) => {
          const before = at === 0 ? [''] : holeOr(again(expressions[at - 1]));
          return texts.flatMap((text) => before.map((part) => text + part + value.cooked));
        },
        [''],
      );
    }
    case 'BinaryExpression': {
      if (node.operator !== '+') return [];
      const right = holeOr(again(node.right as Node));
      return holeOr(again(node.left as Node)).flatMap((left) => right.map((each) => left + each));
    }
    default:
      return [];
  }
}

function holeOr(texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? [HOLE] : texts;
}
