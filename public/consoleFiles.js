/** The list of a user's files on the console page: upload by button or drop, download and delete, over HTTP. */

const LIST = `query ($user: String!) { files(userUuid: $user, depth: 32, first: 1000) {
  edges { node { path type size modifiedAt url } } pageInfo { hasNextPage } } }`;
/** Folders of programs, with caches and settings. */
const HIDDEN = /(^|\/)\./;
const UNITS = ['B', 'KB', 'MB', 'GB'];

const byId = (id) => document.getElementById(id);

function sizeText(bytes) {
  let unit = 0;
  let size = bytes;
  for (; size >= 1_000 && unit < UNITS.length - 1; unit += 1) size /= 1_000;
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}

function element(tag, text, more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...more });
}

/**
 * @param token a function that gives the token, which is sent as a header and never in an address
 * @param user a function that gives the user
 * @param call runs a GraphQL operation
 * @returns a function that reads the list again
 */
export function showFiles({ token, user, call }) {
  const list = byId('file-list');
  const state = byId('files-state');

  /** @throws Error with the message of the gateway */
  async function request(url, options = {}) {
    const answer = await fetch(url, { ...options, headers: { 'X-Auth-Token': token() } });
    if (answer.ok) return answer;
    const { message } = await answer.json().catch(() => ({}));
    throw new Error(message ?? `The gateway answered ${answer.status}.`);
  }

  async function download({ path, url }) {
    const address = URL.createObjectURL(await (await request(url)).blob());
    element('a', '', { href: address, download: path.split('/').at(-1) }).click();
    URL.revokeObjectURL(address);
  }

  async function remove({ path, url }) {
    if (!confirm(`Delete ${path}?`)) return;
    await request(url, { method: 'DELETE' });
    await refresh();
  }

  async function upload(files) {
    for (const file of files) {
      state.textContent = `uploading ${file.name}`;
      const url = `/files/${[user(), file.name].map(encodeURIComponent).join('/')}`;
      await request(url, { method: 'PUT', body: file });
    }
    await refresh();
  }

  /** Shows the error of an action beside the list. */
  async function attempt(action) {
    if (!byId('who').reportValidity()) return;
    try {
      await action();
    } catch (error) {
      state.textContent = error.message;
    }
  }

  function row(file) {
    const item = document.createElement('tr');
    const name = element('button', file.path, { type: 'button', className: 'name' });
    name.title = `Download ${file.path}`;
    name.addEventListener('click', () => attempt(() => download(file)));
    const cross = element('button', 'Delete', { type: 'button' });
    cross.title = `Delete ${file.path}`;
    cross.addEventListener('click', () => attempt(() => remove(file)));
    const time = new Date(file.modifiedAt).toLocaleTimeString();
    const cells = [name, sizeText(file.size), time, cross].map((content) => {
      const cell = document.createElement('td');
      cell.append(content);
      return cell;
    });
    item.append(...cells);
    return item;
  }

  async function refresh() {
    const { files } = await call(LIST, { user: user() });
    const found = files.edges
      .map(({ node }) => node)
      .filter(({ type, path }) => type === 'FILE' && !HIDDEN.test(path));
    list.replaceChildren(...found.map(row));
    const more = files.pageInfo.hasNextPage ? ', and more' : '';
    state.textContent = found.length === 0 ? 'no files' : `${found.length} files${more}`;
  }

  const area = byId('files');
  area.addEventListener('dragover', (event) => {
    event.preventDefault();
    area.classList.add('target');
  });
  area.addEventListener('dragleave', () => area.classList.remove('target'));
  area.addEventListener('drop', (event) => {
    event.preventDefault();
    area.classList.remove('target');
    const files = [...event.dataTransfer.files];
    attempt(() => upload(files));
  });
  byId('upload').addEventListener('click', () => byId('chosen').click());
  byId('chosen').addEventListener('change', async ({ target }) => {
    await attempt(() => upload([...target.files]));
    target.value = '';
  });
  byId('refresh').addEventListener('click', () => attempt(refresh));
  return () => attempt(refresh);
}
