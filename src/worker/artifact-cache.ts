/** @file Files of a run on the worker's own disk: fetched once, checked against their hash, removed at the end. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PatchbayError } from "../base/errors.js";
import { isProcessAlive } from "../base/process-alive.js";
import type { ArtifactPart } from "../wire/messages.js";
import { isSound } from "../engine/cached-file.js";

const PREFIX = "patchbay-worker-";

/** Streams a file of a run: a header, then chunks. */
export type FetchArtifact = (run: string, name: string) => AsyncIterable<ArtifactPart>;

/** A temporary folder of fetched files. Owner: whoever made it, through `remove`. */
export class ArtifactCache {
  readonly #folder: string;
  readonly #fetch: FetchArtifact;
  readonly #files = new Map<string, Promise<string>>();

  constructor(fetch: FetchArtifact, parent: string = tmpdir()) {
    this.#fetch = fetch;
    removeOrphans(parent);
    this.#folder = mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
  }

  /**
   * The local copy of a file, fetched at the first call. It is called by the SHA-256 of its bytes.
   * @throws PatchbayError `coordinator_unreachable`; `bad_input` when the coordinator has no such file; `bad_message` when
   *   it arrived damaged.
   */
  file(run: string, name: string): Promise<string> {
    const key = `${run}/${name}`;
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    const file = this.#download(run, name).catch((thrown: unknown) => {
      this.#files.delete(key); // The next call tries again.
      throw thrown;
    });
    this.#files.set(key, file);
    return file;
  }

  /** Fetches again those of a run's files that were damaged since they came. @throws as {@link file}. */
  async mend(run: string): Promise<void> {
    for (const [key, file] of [...this.#files]) {
      const path = key.startsWith(`${run}/`) ? await file.catch(() => null) : null;
      if (path === null || (await isSound(path))) continue;
      rmSync(path, { force: true });
      await this.#download(run, key.slice(run.length + 1));
    }
  }

  /** Removes a run's files, but those that another run uses too. */
  forget(run: string): void {
    const gone = [...this.#files].filter(([key]) => key.startsWith(`${run}/`));
    for (const [key] of gone) this.#files.delete(key);
    void Promise.allSettled([...this.#files.values()]).then(async (kept) => {
      const used = new Set(kept.map((file) => (file.status === "fulfilled" ? file.value : "")));
      for (const [, file] of gone) {
        const path = await file.catch(() => "");
        if (path !== "" && !used.has(path)) rmSync(path, { force: true });
      }
    });
  }

  /** Removes the folder. */
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #download(run: string, name: string): Promise<string> {
    const partial = join(this.#folder, `.partial-${run}-${name}`);
    const handle = await open(partial, "w");
    const hash = createHash("sha256");
    let expected: string | null = null;
    try {
      for await (const part of this.#fetch(run, name)) {
        if (part.kind === "header") {
          expected = part.sha256;
          if (existsSync(join(this.#folder, expected))) return join(this.#folder, expected);
        } else {
          hash.update(part.chunk);
          await handle.writeFile(part.chunk);
        }
      }
    } finally {
      await handle.close();
    }
    const got = hash.digest("hex");
    if (expected !== got) {
      throw new PatchbayError("bad_message", `artifact ${name}: expected sha256 ${String(expected)}, got ${got}`);
    }
    await rename(partial, join(this.#folder, got));
    return join(this.#folder, got);
  }
}

/** A worker that was killed could not remove its folder. */
function removeOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isProcessAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}
