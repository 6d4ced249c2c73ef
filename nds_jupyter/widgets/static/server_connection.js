/** Address and authentication of the Jupyter server, from the page's own configuration. */

/**
 * @typedef {object} ServerConnection how a page reaches the routes
 * @property {string} url of the routes, without a slash at its end
 * @property {typeof fetch} fetch
 * @property {boolean} isDirect whether the page itself reaches it, by WebSocket, links and forms; else a kernel does
 * @property {() => Record<string, string>} headers that a request of the page needs
 */

/** @returns {Record<string, unknown> | null} JupyterLab's page configuration; null in other pages. */
function pageConfig() {
  const element = document.getElementById("jupyter-config-data");
  if (!element?.textContent) return null;
  try {
    return JSON.parse(element.textContent);
  } catch {
    return null;
  }
}

/** @returns {ServerConnection | null} The server that this page came from; null if it is not a Jupyter page. */
export function pageServer() {
  const config = pageConfig();
  if (!config || typeof config.baseUrl !== "string") return null;
  const path = typeof config.ndsUrl === "string" ? config.ndsUrl : `${config.baseUrl}nds`;
  const url = new URL(path, window.location.href).href.replace(/\/+$/, "");
  const token = typeof config.token === "string" ? config.token : "";
  const headers = () => authHeaders(token);
  return { url, isDirect: true, headers, fetch: (input, init) => fetchWithHeaders(input, init, headers()) };
}

/** Headers that authenticate the page. Jupyter's own pages ask by cookie with the XSRF token, and by token where the page has one. @param {string} token */
function authHeaders(token) {
  /** @type {Record<string, string>} */
  const headers = {};
  const xsrf = xsrfToken();
  if (xsrf) headers["X-XSRFToken"] = xsrf;
  if (token) headers.Authorization = `token ${token}`;
  return headers;
}

/**
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @param {Record<string, string>} [own]
 */
function fetchWithHeaders(input, init = {}, own = {}) {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  return fetch(input, { credentials: "same-origin", ...init, headers });
}

/** @returns {string} The value of the cookie that proves that a request is the page's own. */
export function xsrfToken() {
  return document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";
}
