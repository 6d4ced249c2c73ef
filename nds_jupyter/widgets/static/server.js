/** Where the REST API is, as the page itself knows it. */

/**
 * @typedef {object} Server
 * @property {string} url of the routes, without a slash at its end
 * @property {typeof fetch} fetch
 * @property {boolean} events whether a WebSocket can reach it
 * @property {boolean} links whether a link of the page can download from it
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

/** @returns {Server | null} The server that this page came from; null if it is not a Jupyter page. */
export function pageServer() {
  const config = pageConfig();
  if (!config || typeof config.baseUrl !== "string") return null;
  const path = typeof config.ndsUrl === "string" ? config.ndsUrl : `${config.baseUrl}nds`;
  const url = new URL(path, window.location.href).href.replace(/\/+$/, "");
  const token = typeof config.token === "string" ? config.token : "";
  return { url, events: true, links: true, fetch: (input, init) => send(input, init, token) };
}

/** @returns {string} The URL of our own modules as the JupyterLab extension serves them; may be empty. */
export function labextensionUrl() {
  const config = pageConfig();
  const url = config?.fullLabextensionsUrl ?? config?.labextensionsUrl;
  return typeof url === "string" ? new URL(`${url}/nds-jupyter/static`, window.location.href).href : "";
}

/**
 * Fetch as Jupyter's own pages do: by cookie with the XSRF token, by token where the page has one.
 *
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @param {string} [token]
 */
function send(input, init = {}, token = "") {
  const headers = new Headers(init.headers);
  const xsrf = xsrfToken();
  if (xsrf) headers.set("X-XSRFToken", xsrf);
  if (token) headers.set("Authorization", `token ${token}`);
  return fetch(input, { credentials: "same-origin", ...init, headers });
}

/** @returns {string} The value of the cookie that proves that a request is the page's own. */
export function xsrfToken() {
  return document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";
}
