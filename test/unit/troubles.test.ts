/** The table of troubles has a row for each message with which the program asks an operator for something. */
import { describe, expect, it } from 'vitest';
import { ConfigError, loadServeConfig, SETTINGS } from '../../src/config/config.ts';
import { CHECKS, TROUBLES, type Trouble } from '../../src/doctor/troubles.ts';
import { NOT_FOUND, operatorMessages } from '../support/operatorMessages.ts';
import { isAbout } from '../support/troubles.ts';
import { readPage } from '../support/userPages.ts';

const rows: readonly (Trouble & { readonly id: string })[] = Object.values(TROUBLES).flatMap(
  (section) => Object.entries(section).map(([id, row]) => ({ id, ...(row as Trouble) })),
);
const { messages, unknown } = operatorMessages();

/** Messages of rows that do not come from the program's log or from a start. */
const CODES = /^[A-Z_]+$/;
const OF_BUILDS = ['pip could not install the packages', 'A module cannot be preloaded'];
const OF_THE_SYSTEM = ['No space left on device'];
const OF_NGINX = /^\d{3} [A-Z]/;
/** This message begins with the name of a setting, so it fits too many texts to be the row of any other message. */
const OF_SETTINGS = '… is …, but must be';
/** Fewer letters would fit messages of other rows. */
const MIN_LETTERS = 12;
/** The set-up puts this message together from two texts. */
const PUT_TOGETHER = ['The Docker engine ended with …'];

describe('the table of troubles', () => {
  it('has at least forty rows, each with a message, a cause and a cure', () => {
    expect(rows.length).toBeGreaterThanOrEqual(40);
    for (const { id, messages: texts, cause, cure } of rows)
      expect([id, texts.length > 0, cause !== '', cure !== '']).toEqual([id, true, true, true]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  });

  it('has a row for each message of the log, of a start and of the set-up', () => {
    expect(messages.length).toBeGreaterThan(100);
    const isOf = (row: Trouble, text: string) =>
      isAbout({ ...row, messages: row.messages.filter((each) => each !== OF_SETTINGS) }, text);
    const without = messages.filter(({ text }) => !rows.some((row) => isOf(row, text)));
    expect(without).toEqual([]);
  });

  it('has no message that fits almost anything', () => {
    const vague = rows
      .flatMap((row) => row.messages)
      .filter((text) => text !== OF_SETTINGS && text.includes('…'))
      .filter((text) => text.replaceAll(/[^a-z]/gi, '').length < MIN_LETTERS);
    expect(vague).toEqual([]);
  });

  it('misses no message whose text cannot be read from the source', () => {
    expect([...new Set(unknown)].sort()).toEqual(Object.keys(NOT_FOUND).sort());
  });

  it('has a row for each problem of the settings', () => {
    const row = rows.find(({ id }) => id === 'settings');
    const nonsense = Object.values(SETTINGS).map(({ name }) => [name, '\u0000,=']);
    const contradiction = { MIN_IDLE_WORKERS: '3', MAX_TOTAL_WORKERS: '2', SOCKET_DIR: '' };
    const problems = [Object.fromEntries(nonsense), contradiction].flatMap((env) => {
      try {
        loadServeConfig(env, 1_000);
        return [];
      } catch (error: unknown) {
        return error instanceof ConfigError ? [error.message, ...error.problems] : [];
      }
    });
    expect(problems.length).toBeGreaterThan(Object.keys(SETTINGS).length / 2);
    expect(problems.filter((problem) => row && !isAbout(row, problem))).toEqual([]);
  });

  it('has no message that neither the program nor doctor says', () => {
    const strange = rows.flatMap((row) =>
      row.messages.filter(
        (message, at) =>
          !(row.check !== undefined && at === 0) &&
          !CODES.test(message) &&
          !OF_BUILDS.includes(message) &&
          !OF_THE_SYSTEM.includes(message) &&
          !OF_NGINX.test(message) &&
          !PUT_TOGETHER.includes(message) &&
          !row.id.startsWith('doctor') &&
          row.id !== 'settings' &&
          !messages.some(({ text }) => isAbout({ ...row, messages: [message] }, text)),
      ),
    );
    expect(strange).toEqual([]);
  });

  it('is on the page, row by row', () => {
    const page = readPage('docs/run/troubleshooting.md');
    for (const { messages: texts, cure } of rows) {
      for (const text of texts) expect(page).toContain(`\`${text}\``);
      expect(page).toContain(`| ${cure} |`);
    }
  });

  it('has a row for each check of doctor', () => {
    const checks = new Set(rows.flatMap(({ check }) => check ?? []));
    expect(CHECKS.filter((check) => !checks.has(check))).toEqual([]);
  });
});
