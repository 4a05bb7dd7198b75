/** A program and its arguments, as the code of a command that any gateway can read back. */

export interface CommandLine {
  readonly cmd: string;
  readonly args: readonly string[];
}

/** What every other program is recorded with. */
const EXEC = 'exec -- ';
/** What no shell looks at twice. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/;
/** A word as {@link quoted} writes it: plain, or in quotes, between which a quote stands as `'\''`. */
const WORD = /'(?:[^']|'\\'')*'|[\w@%+=:,./-]+/y;

/**
 * The code of a command. What E2B's SDKs run in a shell is recorded as it was written, without that shell. Any other
 * program takes the place of the shell.
 */
export function codeOf(line: CommandLine): string {
  const code = inShell(line);
  if (code !== null && isSame(lineOf(code), line)) return code;
  return EXEC + [line.cmd, ...line.args].map(quoted).join(' ');
}

/** The program and the arguments that {@link codeOf} has made this code of. */
export function lineOf(code: string): CommandLine {
  const [cmd, ...args] = code.startsWith(EXEC) ? wordsIn(code.slice(EXEC.length)) : [];
  return cmd === undefined ? { cmd: '/bin/bash', args: ['-l', '-c', code] } : { cmd, args };
}

/** The code that this is a shell for. Null: it is something else. */
function inShell({ cmd, args: [login, option, code, ...more] }: CommandLine): string | null {
  const isShell = cmd === '/bin/bash' && login === '-l' && option === '-c' && more.length === 0;
  return isShell && code ? code : null;
}

function isSame(one: CommandLine, other: CommandLine): boolean {
  return JSON.stringify([one.cmd, one.args]) === JSON.stringify([other.cmd, other.args]);
}

function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The words of a line. None if {@link quoted} would have written it differently. */
function wordsIn(text: string): string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    WORD.lastIndex = at;
    const [found] = WORD.exec(text) ?? [];
    if (found === undefined) return [];
    words.push(found.startsWith("'") ? found.slice(1, -1).replaceAll("'\\''", "'") : found);
    at += found.length;
  }
  return words.map(quoted).join(' ') === text ? words : [];
}
