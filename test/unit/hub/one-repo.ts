/** @file A repository with one checkpoint on a hub that misbehaves on request, fresh for every test, and a connection to it. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { repoPaths } from "../../../src/hub/cache-paths.js";
import { fetchByName, type FetchedWeights } from "../../../src/hub/fetch-weights.js";
import { type HubConnection, openHub } from "../../../src/hub/hub-connection.js";
import { temporaryFolder } from "../weights/temporary-folder.js";
import { FakeHub, sha256 } from "./fake-hub.js";

/** Its name. */
export const REPO = "acme/tiny-gemma";
/** What its model.safetensors holds. */
export const WEIGHTS = randomBytes(300_000);
/** What its config.json holds. */
export const CONFIG = '{"model_type":"gemma2"}';

/** The hub of the test that runs. */
export let hub: FakeHub;
/** Where its connection keeps what was fetched. */
export let cacheFolder: string;
/** Pauses that were asked for, in milliseconds; nobody waits. */
export let waits: number[];
/** Lines for people. */
export let said: string[];

beforeEach(async () => {
  hub = await FakeHub.start(REPO);
  onTestFinished(() => hub.close());
  cacheFolder = join(temporaryFolder(), "hub");
  [waits, said] = [[], []];
  hub
    .add("config.json", CONFIG)
    .add("tokenizer.json", "{}")
    .add("model.safetensors", WEIGHTS, true)
    .add("README.md", "x");
});

/** A connection that waits for nothing. */
export function connection(changes: Partial<HubConnection["settings"]> = {}): HubConnection {
  const settings = { endpoint: hub.endpoint, cacheFolder, token: null, offline: false, ...changes };
  const wait = (ms: number): Promise<void> => Promise.resolve(void waits.push(ms));
  return { ...openHub(settings, (text) => said.push(text)), wait };
}

/** Fetches the checkpoint. */
export const fetchModel = (
  changes: Partial<HubConnection["settings"]> = {},
  revision = "main",
): Promise<FetchedWeights> => fetchByName(connection(changes), REPO, revision, {});

/** What an attempt is refused with. */
export async function failure(attempt: Promise<unknown>): Promise<PatchbayError> {
  const thrown: unknown = await attempt.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(PatchbayError);
  return thrown as PatchbayError;
}

/** The cache's paths of the repository. */
export const paths = (): ReturnType<typeof repoPaths> => repoPaths(cacheFolder, REPO);

/** Nothing of the weights has the name that means "whole". */
export function expectNoWeights(): void {
  expect(existsSync(paths().blob(sha256(WEIGHTS)))).toBe(false);
  expect(existsSync(join(paths().snapshot(hub.commit), "model.safetensors"))).toBe(false);
}
