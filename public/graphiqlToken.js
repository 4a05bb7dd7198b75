/**
 * Runs on GraphiQL's page before GraphiQL. It asks for the token, keeps it for this browser tab (sessionStorage), and
 * adds it as `X-Auth-Token` to every request that GraphiQL sends to this server. It uses no cookies.
 */
(() => {
  const KEY = 'cellhouse-token';
  const bar = document.createElement('form');
  bar.id = 'token-bar';
  bar.innerHTML = `
    <strong>Cellhouse</strong>
    <label>Token <input id="token" type="password" autocomplete="off" spellcheck="false"
      placeholder="the content of <DATA_DIR>/auth-token"></label>
    <button type="submit">Use</button>
    <output id="token-state"></output>
    <a href="/">Console</a>`;
  document.body.prepend(bar);
  const input = bar.querySelector('#token');
  const state = bar.querySelector('#token-state');

  function show(text, kind) {
    state.textContent = text;
    state.dataset.kind = kind;
  }

  input.value = sessionStorage.getItem(KEY) ?? '';
  if (input.value) show('in use', 'fine');
  else show('needed: enter it to load the schema', 'missing');

  bar.addEventListener('submit', (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value.trim());
    // GraphiQL loads the schema only when it starts.
    location.reload();
  });

  const send = window.fetch.bind(window);
  window.fetch = async (resource, options = {}) => {
    const token = sessionStorage.getItem(KEY);
    const url = new URL(resource instanceof Request ? resource.url : resource, location.href);
    if (!token || url.origin !== location.origin) return send(resource, options);
    const headers = new Headers(
      options.headers ?? (resource instanceof Request ? resource.headers : undefined),
    );
    if (!headers.has('X-Auth-Token')) headers.set('X-Auth-Token', token);
    const response = await send(resource, { ...options, headers });
    if (response.status === 401) show('wrong: the server refused it', 'missing');
    return response;
  };
})();
