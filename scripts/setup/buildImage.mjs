import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTask } from './engineApi.mjs';
import { findProgram } from './findProgram.mjs';
import { runCommand } from './runCommand.mjs';
import { detail } from './steps.mjs';

/**
 * Builds an image with the engine's own builder, which needs neither the docker program nor BuildKit. If the build is
 * interrupted, no image has the name, and the next attempt uses the layers built so far as its cache.
 * @param {{ image: string, labels: Record<string, string>, folder?: string, files?: Record<string, string>, exclude?: string[], args?: Record<string, string> }} build
 * `folder` or `files` is the build context. `exclude` are patterns for `tar --exclude`
 */
export async function buildImage({ image, labels, folder, files, exclude = [], args = {} }) {
  const context = folder ?? writeContext(files ?? {});
  try {
    const query = new URLSearchParams({
      t: image,
      rm: '1',
      forcerm: '1',
      labels: JSON.stringify(labels),
      buildargs: JSON.stringify({ ...(await proxies()), ...args }),
    });
    await runTask({
      path: `/build?${query}`,
      body: tarOf(context, exclude),
      onLine: (line) => {
        if (/^Step \d+\/\d+ : /.test(line)) detail(line.replace(/\s+/g, ' '));
      },
    });
  } finally {
    if (folder === undefined) rmSync(context, { recursive: true, force: true });
  }
}

function writeContext(files) {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-build-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/**
 * The folder's content as a tar stream. Owners and times are fixed; otherwise they would invalidate the builder's
 * cache.
 */
function tarOf(folder, exclude) {
  const patterns = exclude.map((pattern) => `--exclude=${pattern}`);
  const child = spawn(
    'tar',
    [
      '--create',
      `--directory=${folder}`,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=u=rwX,go=rX',
      '--mtime=@0',
      ...patterns,
      '.',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  child.on('error', (e) => child.stdout.destroy(e));
  child.on('exit', (code) => {
    if (code !== 0) child.stdout.destroy(new Error(`tar ended with ${code}`));
  });
  return child.stdout;
}

/** This machine's proxy settings, so that builds reach the package mirrors. Docker predefines these build arguments. */
async function proxies() {
  const found = {};
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) {
    const value = process.env[name] ?? process.env[name.toUpperCase()];
    if (value) found[name] = value;
  }
  if (found.http_proxy === undefined && findProgram('apt-config') !== null) {
    const said = await runCommand('apt-config', ['shell', 'PROXY', 'Acquire::http::Proxy']);
    const proxy = /^PROXY='(.+)'$/m.exec(said)?.[1];
    if (proxy && proxy !== 'DIRECT') found.http_proxy = proxy;
  }
  return found;
}
