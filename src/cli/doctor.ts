/** `cellhouse doctor`: prints what it has found, and what to do. */
import { pino } from 'pino';
import { ConfigError, loadConfig } from '../config/config.ts';
import { DOCTOR_LIMIT_MS, examine } from '../doctor/doctor.ts';
import { type Finding, failureSaying, ok, unknown } from '../doctor/finding.ts';
import { CHECKS, troubleOf } from '../doctor/troubles.ts';
import { parseOptions } from './commandLine.ts';
import { listeningUrl, operatorsTokenIn, urlOf } from './gatewayClient.ts';

interface DoctorArguments {
  readonly isJson: boolean;
  /** Without a slash at its end. Null: no proxy is checked. */
  readonly url: string | null;
  readonly tokenFile: string | undefined;
}

/** Parses the words after `cellhouse doctor`. @throws Error that says what is wrong */
export function doctorArguments(words: readonly string[]): DoctorArguments {
  const text = { type: 'string' } as const;
  const options = { json: { type: 'boolean' }, url: text, 'token-file': text } as const;
  const { values } = parseOptions(words, { options });
  return {
    isJson: values.json === true,
    url: values.url === undefined ? null : urlOf('--url', values.url),
    tokenFile: values['token-file'],
  };
}

/** After this time the process ends, even if a check that was given up would keep it alive. */
const LINGER_MS = 500;

/**
 * `cellhouse doctor`. The exit code is 1 if anything has failed, otherwise 0.
 * @param words the arguments after `doctor`
 */
export async function doctor(words: readonly string[]): Promise<void> {
  const asked = doctorArguments(words);
  // Every check has its limit. This is for a defect in one of them.
  setTimeout(() => {
    console.error(`cellhouse: doctor has not ended within ${DOCTOR_LIMIT_MS / 1_000} s.`);
    process.exit(1);
  }, DOCTOR_LIMIT_MS).unref();
  const findings = await findingsOf(asked);
  for (const finding of findings)
    console.log(asked.isJson ? JSON.stringify(objectOf(finding)) : linesOf(finding));
  const failed = findings.filter(({ state }) => state === 'failure').length;
  const warned = findings.filter(({ state }) => state === 'warning').length;
  const proxy = asked.url === null ? ' No proxy was checked: add `--url` with its address.' : '';
  if (!asked.isJson) console.log(`\n${failed} failed, ${warned} to look at.${proxy}`);
  process.exitCode = failed > 0 ? 1 : 0;
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

async function findingsOf({ url, tokenFile }: DoctorArguments): Promise<readonly Finding[]> {
  const { env } = process;
  let config: ReturnType<typeof loadConfig>;
  try {
    config = loadConfig(env);
  } catch (error: unknown) {
    if (!(error instanceof ConfigError)) throw error;
    const others = CHECKS.filter((check) => check !== 'settings' && !check.startsWith('proxy'));
    return [
      ...error.problems.map((problem) => failureSaying('settings', problem)),
      ...others.map((check) => unknown(check, 'Not checked, because settings are wrong.')),
    ];
  }
  const proxy = url === null ? null : { url, token: tokenOrReason(tokenFile) };
  return [
    ok('settings', 'No setting is wrong. `cellhouse config check` shows them.'),
    ...(await examine({
      ...{ config, proxy, gatewayUrl: listeningUrl(config) },
      workerImage: config.workerImage ?? (await builtImage()),
      logger: pino({ level: 'silent' }),
    })),
  ];
}

/** A doctor on another machine than the gateway may have no token. It says so at the check that needs one. */
function tokenOrReason(file: string | undefined): string | Error {
  if (file !== undefined) return operatorsTokenIn(file, process.env);
  try {
    return operatorsTokenIn(file, process.env);
  } catch (error: unknown) {
    if (!(error instanceof Error)) throw error;
    return error;
  }
}

/** The name under which `npm start` builds the worker image. Null: the sources of that image are not here. */
async function builtImage(): Promise<string | null> {
  const script = new URL('../../scripts/setup/workerImage.mjs', import.meta.url).href;
  try {
    const { workerImageName } = (await import(script)) as { workerImageName: () => string };
    return workerImageName();
  } catch {
    // The gateway's image does not contain them, and sets WORKER_IMAGE instead.
    return null;
  }
}

const SHOWN = { ok: 'ok', warning: 'warning', failure: 'FAILURE', unknown: 'unknown' } as const;
const STATE_WIDTH = 9;
const CHECK_WIDTH = 17;

function linesOf({ check, state, found, trouble }: Finding): string {
  const line = `${SHOWN[state].padEnd(STATE_WIDTH)}${check.padEnd(CHECK_WIDTH)}${found}`;
  if (trouble === null) return line;
  const { cause, cure } = troubleOf(trouble);
  const indent = ' '.repeat(STATE_WIDTH + CHECK_WIDTH);
  return `${line}\n${indent}cause: ${plain(cause)}\n${indent}do:    ${plain(cure)}`;
}

function objectOf({ check, state, found, trouble }: Finding) {
  if (trouble === null) return { check, state, found };
  const { cause, cure } = troubleOf(trouble);
  return { check, state, found, trouble, cause: plain(cause), cure: plain(cure) };
}

/** Replaces each link by its text and the path of its page: `sizing (docs/run/sizing.md)`. */
function plain(markdown: string): string {
  return markdown.replaceAll(
    /\[([^\]]+)\]\(([^)#]+)[^)]*\)/g,
    (_, text, page) => `${text} (docs/run/${page})`,
  );
}
