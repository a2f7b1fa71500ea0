/**
 * @file A server in this process that speaks the part of the Hugging Face API that clients of repositories use: revisions, trees in
 * pages, `resolve` with a redirect to a second origin for large files, ranges, error codes in headers, and faults on request.
 */
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it arrived. */
export interface Seen {
  readonly origin: "hub" | "store";
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
  readonly token: string | null;
}

/** What to answer instead; undefined: the usual answer. */
export type Fault = (seen: Seen, response: ServerResponse) => "answered" | undefined;

interface Stored {
  readonly bytes: Buffer;
  readonly large: boolean;
  /** What the tree says. */
  readonly listedSize: number;
}

/** Files in a page of a tree. */
const PAGE = 3;

/** A hub with one repository. Owner: whoever made it, through `close`. */
export class FakeHub {
  readonly seen: Seen[] = [];
  readonly repo: string;
  endpoint = "";
  /** What `main` points to. */
  commit = randomBytes(20).toString("hex");
  /** Asked before every answer. */
  fault: Fault = () => undefined;
  readonly #files = new Map<string, Stored>();
  readonly #hub: Server;
  readonly #store: Server;

  private constructor(repo: string) {
    this.repo = repo;
    this.#hub = createServer((request, response) => {
      this.#answer("hub", request, response);
    });
    this.#store = createServer((request, response) => {
      this.#answer("store", request, response);
    });
  }

  /** Starts a hub on two ports of the loopback. */
  static async start(repo: string): Promise<FakeHub> {
    const hub = new FakeHub(repo);
    for (const server of [hub.#hub, hub.#store])
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    hub.endpoint = addressOf(hub.#hub);
    return hub;
  }

  /** Adds a file; a large one is kept by SHA-256 at the second origin. */
  add(path: string, bytes: Buffer | string, large = false, listedSize = bytes.length): this {
    this.#files.set(path, { bytes: Buffer.from(bytes), large, listedSize });
    return this;
  }

  /** Requests for a file's bytes that reached the place where they are. */
  downloads(path: string): Seen[] {
    return this.seen.filter(
      (one) => decodeURIComponent(one.path).endsWith(`/${path}`) && one.origin === this.#place(path),
    );
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #place(path: string): Seen["origin"] {
    return this.#files.get(path)?.large === true ? "store" : "hub";
  }

  #answer(origin: Seen["origin"], request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.endpoint);
    const { range = null, authorization = null } = request.headers;
    const seen = { origin, method: request.method ?? "", path: url.pathname, range, token: authorization };
    this.seen.push(seen);
    if (this.fault(seen, response) === "answered") return;
    if (origin === "store") {
      this.#send(decodeURIComponent(url.pathname.slice("/store/".length)), range, response);
      return;
    }
    const [, revision = "", path] =
      new RegExp(`^/(?:api/models/)?${this.repo}/(?:revision|tree|resolve)/([^/]+)(?:/(.*))?$`).exec(url.pathname) ??
      [];
    if (revision === "") refuse(response, 404, "RepoNotFound", "Repository not found");
    else if (!["main", "HEAD", this.commit].includes(revision))
      refuse(response, 404, "RevisionNotFound", "Invalid rev id");
    else if (url.pathname.includes("/revision/"))
      json(response, { _id: "1", id: this.repo, sha: this.commit, lastModified: "2026-01-01T00:00:00Z" });
    else if (url.pathname.includes("/tree/")) this.#tree(url, response);
    else this.#resolve(decodeURIComponent(path ?? ""), range, response);
  }

  #tree(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const all = [...this.#files].map(([path, { bytes, large, listedSize }]) => ({
      type: "file",
      path,
      size: listedSize,
      oid: gitOid(large ? Buffer.from(`pointer to ${sha256(bytes)}`) : bytes),
      ...(large ? { lfs: { oid: sha256(bytes), size: listedSize, pointerSize: 130 } } : {}),
    }));
    const entries = [{ type: "directory", path: "folder", size: 0, oid: gitOid(Buffer.from("")) }, ...all];
    if (from + PAGE < entries.length) {
      url.searchParams.set("cursor", String(from + PAGE));
      response.setHeader("link", `<${url.href}>; rel="next"`);
    }
    json(response, entries.slice(from, from + PAGE));
  }

  #resolve(path: string, range: string | null, response: ServerResponse): void {
    const file = this.#files.get(path);
    if (file === undefined) {
      refuse(response, 404, "EntryNotFound", "Entry not found");
      return;
    }
    response.setHeader("x-repo-commit", this.commit);
    if (!file.large) {
      response.setHeader("etag", `"${gitOid(file.bytes)}"`);
      this.#send(path, range, response);
      return;
    }
    response.writeHead(302, {
      location: `${addressOf(this.#store)}/store/${path}`,
      "x-linked-etag": `"${sha256(file.bytes)}"`,
      "x-linked-size": String(file.bytes.length),
    });
    response.end();
  }

  #send(path: string, range: string | null, response: ServerResponse): void {
    const bytes = this.#files.get(path)?.bytes ?? Buffer.alloc(0);
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const part = bytes.subarray(from);
    response.writeHead(range === null ? 200 : 206, {
      "accept-ranges": "bytes",
      "content-length": String(part.length),
      ...(range === null
        ? {}
        : { "content-range": `bytes ${String(from)}-${String(bytes.length - 1)}/${String(bytes.length)}` }),
    });
    response.end(part);
  }
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** Answers with an error as the hub does: its kind is in the headers. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string | null,
  message: string,
  headers: Record<string, string> = {},
): "answered" {
  response.writeHead(status, {
    ...(code === null ? {} : { "x-error-code": code }),
    "x-error-message": message,
    ...headers,
  });
  response.end(JSON.stringify({ error: message }));
  return "answered";
}

/** Sends the first part of a body whose length was promised, and breaks the connection off. */
export function breakOff(response: ServerResponse, bytes: Buffer, sent: number, from = 0): "answered" {
  response.writeHead(from === 0 ? 200 : 206, {
    "content-length": String(bytes.length - from),
    ...(from === 0
      ? {}
      : { "content-range": `bytes ${String(from)}-${String(bytes.length - 1)}/${String(bytes.length)}` }),
  });
  response.write(bytes.subarray(from, sent), () => response.destroy());
  return "answered";
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

/** SHA-256, by which large files are listed. */
export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Git's name for contents. */
export function gitOid(bytes: Buffer): string {
  return createHash("sha1")
    .update(`blob ${String(bytes.length)}\0`)
    .update(bytes)
    .digest("hex");
}
