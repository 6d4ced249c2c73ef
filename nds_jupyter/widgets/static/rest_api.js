/** Client of the REST API: one method for each route that a panel calls. */

/** @import { ServerConnection } from "./server_connection.js" */
/** @import { Avu, Change, DataEntry, Image, Job, LogLine, Metrics, Replica, ResultEntry } from "./types.js" */

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

const CUT_OFF = "The connection to the server broke off. A part of a file is never kept. Retry when the server answers again.";
const RETRIES = 3;
const RETRY_PAUSE = 300;
/** Lines of a log that are handed on at once. */
const BATCH_LINES = 200;
/** Lines of a log that go through a kernel at once; the rest belongs in a download. */
const RELAYED_LINES = 10_000;

/** Error answer of a route; its message is the server's sentence. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 where no answer came
   */
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** A page's client of the REST API. */
export class RestApi {
  /** @param {ServerConnection} server */
  constructor(server) {
    this.server = server;
  }

  /**
   * Make the URL of a route; parameters that are not given are left out.
   *
   * @param {string} path
   * @param {Query} [query]
   */
  url(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return `${this.server.url}${path}${text && `?${text}`}`;
  }

  /**
   * Send a request, and throw `ApiError` for an answer that is an error.
   *
   * @param {string} verb
   * @param {string} path
   * @param {Query} [query]
   * @param {RequestInit} [init]
   */
  async request(verb, path, query = {}, init = {}) {
    const answer = await this._fetch(this.url(path, query), { ...init, method: verb });
    if (answer.ok) return answer;
    throw new ApiError(await problemSentence(answer), answer.status);
  }

  /**
   * Fetch with retries, where the request may be repeated.
   *
   * @param {string} url
   * @param {RequestInit} init
   */
  async _fetch(url, init) {
    // A container that starts on the browser's own machine changes its network interfaces, and
    // Chromium then drops what is under way. What does no harm twice is asked again.
    const retries = init.method === "GET" || init.method === "DELETE" ? RETRIES : 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.server.fetch(url, init);
      } catch (error) {
        if (init.signal?.aborted) throw error;
        if (attempt >= retries) throw new ApiError("The server does not answer. Is it running?", 0);
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE * (attempt + 1)));
      }
    }
  }

  /**
   * GET a route that answers JSON.
   *
   * @param {string} path
   * @param {Query} [query]
   * @param {AbortSignal} [signal]
   */
  async getJson(path, query = {}, signal) {
    return (await this.request("GET", path, query, { signal })).json();
  }

  /**
   * Send a JSON body.
   *
   * @param {string} verb
   * @param {string} path
   * @param {unknown} body
   * @param {Query} [query]
   * @param {Record<string, string>} [extraHeaders]
   * @returns {Promise<any>} the JSON of the answer; null where it is empty
   */
  async sendJson(verb, path, body, query = {}, extraHeaders = {}) {
    const headers = { "Content-Type": "application/json", ...extraHeaders };
    const answer = await this.request(verb, path, query, { headers, body: JSON.stringify(body) });
    const text = await answer.text();
    return text ? JSON.parse(text) : null;
  }

  /**
   * GET one page of a list, with the query of the next one.
   *
   * @param {string} path
   * @param {Query} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ rows: any[], next: Query | null }>}
   */
  async page(path, query, signal) {
    const answer = await this.request("GET", path, query, { signal });
    const link = answer.headers.get("Link")?.match(/<([^>]*)>;\s*rel="next"/)?.[1];
    const next = link ? Object.fromEntries(new URL(link, this.url(path)).searchParams) : null;
    return { rows: await answer.json(), next };
  }

  /**
   * Iterate over the pages of a list.
   *
   * @param {string} path
   * @param {Query} query
   * @param {AbortSignal} [signal]
   */
  async *pages(path, query, signal) {
    /** @type {Query | null} */
    let at = query;
    while (at) {
      const { rows, next } = await this.page(path, at, signal);
      yield rows;
      at = next;
    }
  }

  /**
   * @param {string} job_id
   * @returns {Promise<Job>}
   */
  job(job_id) {
    return this.getJson("/upload", { job_id });
  }

  /**
   * @param {Record<string, unknown>} fields
   * @param {string} key the same key again makes no second job
   * @returns {Promise<Job[]>} one, or one for each point of a sweep
   */
  async submit(fields, key) {
    const made = await this.sendJson("POST", "/upload", fields, {}, { "Idempotency-Key": key });
    return Array.isArray(made) ? made : [made];
  }

  /** @param {string} job_id */
  stop(job_id) {
    return this.sendJson("POST", "/stop", { job_id });
  }

  /**
   * @param {string} job_id
   * @returns {Promise<Job>}
   */
  sendToBackground(job_id) {
    return this.sendJson("POST", `/jobs/${encodeURIComponent(job_id)}/background`, {});
  }

  /**
   * @param {string} job_id
   * @returns {Promise<Job>}
   */
  rerun(job_id) {
    return this.sendJson("POST", `/jobs/${encodeURIComponent(job_id)}/rerun`, {});
  }

  /** @param {string} job_id */
  remove(job_id) {
    return this.request("DELETE", `/jobs/${encodeURIComponent(job_id)}`);
  }

  /** @returns {Promise<Image[]>} */
  images() {
    return this.getJson("/list_images");
  }

  /**
   * @param {string} job_id
   * @returns {Promise<Metrics>}
   */
  metrics(job_id) {
    return this.getJson("/metric", { job_id });
  }

  /** @param {string} job_id */
  async script(job_id) {
    return (await this.request("GET", "/script", { job_id })).text();
  }

  /**
   * @param {string} job_id
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<Change[]>}
   */
  diff(job_id, signal) {
    return this.pages("/diff", { job_id, limit: 1000 }, signal);
  }

  /**
   * @returns {AsyncGenerator<ResultEntry[]>}
   * @param {string} job_id
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  results(job_id, path, signal) {
    return this.pages("/list_results", { job_id, path, limit: 1000 }, signal);
  }

  /**
   * Iterate over the lines of a log in batches, as they arrive.
   *
   * @param {string} job_id
   * @param {string | null} since
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<LogLine[]>}
   */
  async *logLines(job_id, since, signal) {
    const headers = { Accept: "application/x-ndjson" };
    // The route reads microseconds; lines up to the exact time are dropped by the reader.
    const from = since?.replace(/(\.\d{6})\d*/, "$1");
    const tail = this.server.isDirect ? null : RELAYED_LINES;
    const answer = await this.request("GET", "/stdout", { job_id, since: from, tail }, { headers, signal });
    if (!answer.body) return;
    yield* parseBatches(answer.body.pipeThrough(new TextDecoderStream()).getReader());
  }

  /**
   * @param {Query} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ rows: DataEntry[], next: Query | null }>} one page of a collection
   */
  dataPage(query, signal) {
    return this.page("/list_data", query, signal);
  }

  /**
   * Look up one entry of the data root by the listing of its parent: to GET what is not there would be an error in the
   * browser's log.
   *
   * @param {string} path
   * @returns {Promise<DataEntry | null | undefined>} null where there is nothing, undefined where that is not known
   */
  async dataEntry(path) {
    const whole = path.replace(/\/+$/, "");
    const at = whole.lastIndexOf("/");
    const name = whole.slice(at + 1);
    if (!name || name === "." || name === "..") return undefined;
    try {
      const parent = at < 0 ? "" : whole.slice(0, at) || "/";
      const { rows, next } = await this.dataPage({ path: parent, q: name, limit: 1000 });
      return rows.find((entry) => entry.name === name) ?? (next ? undefined : null);
    } catch {
      return undefined;
    }
  }

  /** @param {string} path @param {RequestInit} [init] @returns {Promise<Response>} the content of a data object */
  dataContent(path, init) {
    return this.request("GET", dataRoute(path), {}, init);
  }

  /** @param {string} path @returns {string} the URL of the content of a data object */
  dataUrl(path) {
    return this.url(dataRoute(path));
  }

  /** @param {string} path */
  makeCollection(path) {
    return this.request("POST", dataRoute(path), { mkdir: "1" });
  }

  /** @param {string} path @param {string} move_to */
  moveData(path, move_to) {
    return this.request("POST", dataRoute(path), { move_to });
  }

  /** @param {DataEntry} entry a collection with all that it holds */
  deleteData({ path, kind }) {
    return this.request("DELETE", dataRoute(path), kind === "collection" ? { recursive: "1" } : {});
  }

  /** @param {string} path @returns {Promise<Avu[]>} */
  metadata(path) {
    return this.getJson(`/metadata${encodePath(path)}`);
  }

  /** @param {string} path @param {Avu[]} avus @returns {Promise<Avu[]>} */
  setMetadata(path, avus) {
    return this.sendJson("PUT", `/metadata${encodePath(path)}`, avus);
  }

  /** @param {string} path @returns {Promise<Replica[]>} */
  replicas(path) {
    return this.getJson(`/replicas${encodePath(path)}`);
  }

  /**
   * Copy paths of a job's container into a collection; the answer comes when all of them are there.
   *
   * @param {string} job_id
   * @param {{ paths: string[], to: string }} selection
   * @param {boolean} overwrite
   * @returns {Promise<DataEntry[]>} the objects that were written
   */
  deliver(job_id, { paths, to }, overwrite) {
    return this.sendJson("POST", "/deliver", { job_id, paths, to, overwrite });
  }

  /**
   * Upload a file, with progress, which `fetch` does not tell.
   *
   * @param {string} path
   * @param {Blob} file
   * @param {object} options
   * @param {boolean} options.replace
   * @param {(part: number) => void} options.onProgress
   * @param {AbortSignal} options.signal
   * @returns {Promise<void>}
   */
  uploadFile(path, file, { replace, onProgress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", this.dataUrl(path));
      for (const [name, value] of Object.entries(this.server.headers())) request.setRequestHeader(name, value);
      if (!replace) request.setRequestHeader("If-None-Match", "*");
      request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
      request.onload = () => (request.status < 300 ? resolve() : reject(uploadError(request)));
      request.onerror = () => reject(new ApiError(CUT_OFF, 0));
      request.onabort = () => reject(new ApiError("The upload was cancelled.", 0));
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }
}

/**
 * Parse newline-delimited JSON in batches.
 *
 * @param {ReadableStreamDefaultReader<string>} reader
 * @returns {AsyncGenerator<LogLine[]>}
 */
async function* parseBatches(reader) {
  /** @type {string[]} Pieces of a line whose end is still to come. */
  let begun = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    let batch = [];
    let from = 0;
    for (let end = value.indexOf("\n"); end >= 0; end = value.indexOf("\n", from)) {
      begun.push(value.slice(from, end));
      from = end + 1;
      const line = begun.join("");
      begun = [];
      if (line) batch.push(JSON.parse(line));
      // What the network gives at once may be more than a page can take in without a pause.
      if (batch.length < BATCH_LINES) continue;
      yield batch;
      batch = [];
    }
    begun.push(value.slice(from));
    if (batch.length) yield batch;
  }
}

/** @param {string} path absolute @returns {string} for use in a URL */
function encodePath(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** @param {string} path absolute, in the data root */
function dataRoute(path) {
  return `/data${encodePath(path)}`;
}

/** @param {Response} answer */
async function problemSentence(answer) {
  try {
    const body = await answer.json();
    if (typeof body.message === "string" && body.message) return body.message;
  } catch {
    // Not ours: a proxy, or a server without the extension.
  }
  return `The server answered ${answer.status} ${answer.statusText}.`;
}

/** @param {XMLHttpRequest} request */
function uploadError({ status, statusText, responseText }) {
  try {
    return new ApiError(JSON.parse(responseText).message, status);
  } catch {
    return new ApiError(`The server answered ${status} ${statusText}.`, status);
  }
}
