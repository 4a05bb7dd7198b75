import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NOTICES_FILE, noticesOf } from './notices.mjs';
import { projectRoot } from './projectRoot.mjs';

/**
 * This package has 9 MB of text for one page. It gets a file of its own, so that it is loaded only when the page is
 * requested.
 */
const LATE_PACKAGE = '@graphql-yoga/render-graphiql';
const LATE_FILE = 'renderGraphiql.js';

/** What dockerode loads for an engine behind SSH and for BuildKit's sessions. Cellhouse has neither. */
const LEFT_OUT = ['ssh2', '@grpc/grpc-js', '@grpc/proto-loader'];
const ABSENT = fileURLToPath(new URL('absent.cjs', import.meta.url));

/** CommonJS packages load Node's own modules with `require`. */
const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

/**
 * Puts all modules that `cli.js` needs, and those of its packages, into `cli.js`, and what GraphiQL needs into a second
 * file. Node takes longer to find and open a thousand files than to run them. A command still runs only the modules
 * that it imports. The only package that is left to install is the embedded PostgreSQL. A third file has the notices
 * of all packages that are now inside.
 * @param {string} dist a folder with what TypeScript has made of `src/`
 */
export async function bundle(dist) {
  // Imported here, because this file is loaded before any package is installed.
  const { build, stop } = await import('esbuild');
  const options = {
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    metafile: true,
    logLevel: 'warning',
  };
  try {
    const program = await build({
      ...options,
      absWorkingDir: dist,
      entryPoints: ['cli.js'],
      outfile: join(dist, 'cli.js'),
      allowOverwrite: true,
      alias: Object.fromEntries(LEFT_OUT.map((name) => [name, ABSENT])),
      banner: { js: REQUIRE },
      plugins: [lateFile(), ownAddresses(dist)],
    });
    const late = await build({
      ...options,
      absWorkingDir: dist,
      stdin: { contents: `export * from '${LATE_PACKAGE}';`, resolveDir: projectRoot },
      outfile: join(dist, LATE_FILE),
    });
    const inputs = [program, late].flatMap(({ metafile }) => Object.keys(metafile.inputs));
    const paths = inputs.map((path) => join(dist, path));
    writeFileSync(join(dist, NOTICES_FILE), noticesOf(paths));
  } finally {
    // Otherwise the process of esbuild would live as long as this one, which may be the gateway.
    await stop();
  }
}

/** Leaves the import of {@link LATE_PACKAGE} in the program, as one of {@link LATE_FILE} beside it. */
function lateFile() {
  return {
    name: 'late-file',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^${LATE_PACKAGE}$`) }, () => ({
        path: `./${LATE_FILE}`,
        external: true,
      }));
    },
  };
}

/** Gives each module the `import.meta.url` that it had before, so that it still finds files by their relative paths. */
function ownAddresses(dist) {
  return {
    name: 'own-addresses',
    setup({ onLoad }) {
      onLoad({ filter: /\.js$/ }, async ({ path }) => {
        const name = relative(dist, path);
        if (name.startsWith('..')) return undefined;
        const source = await readFile(path, 'utf8');
        const address = `new URL(${JSON.stringify(`./${name}`)}, import.meta.url).href`;
        return { contents: source.replaceAll('import.meta.url', address) };
      });
    },
  };
}
