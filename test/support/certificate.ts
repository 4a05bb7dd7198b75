import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** The certificate, which clients must trust, because it has signed itself. */
  readonly text: string;
  readonly file: string;
  readonly keyFile: string;
}

/**
 * Makes a certificate in a folder.
 * @param names for which it holds, the first without its kind. Example: `['localhost', 'IP:127.0.0.1']`
 */
export function makeCertificate(folder: string, [host, ...more]: readonly string[]): Certificate {
  const [file, keyFile] = [join(folder, 'cellhouse.pem'), join(folder, 'cellhouse.key')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'],
      ...['-days', '2', '-subj', `/CN=${host}`, '-keyout', keyFile, '-out', file],
      ...['-addext', `subjectAltName=${[`DNS:${host}`, ...more].join()}`],
    ],
    { stdio: 'pipe' },
  );
  return { text: readFileSync(file, 'utf8'), file, keyFile };
}
