/** @file Files of a repository at one commit: what is recorded, and what workers are told to fetch. */
import { z } from "zod";

/** Repositories that one name may stand for. */
const SITES_AT_MOST = 16;

/** Part of a path inside a repository: nothing that could lead out of a folder. */
const pathPattern = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\\\0]+(?:\/[^/\\\0]+)*$/;

/** The schema of a commit hash. */
export const commitSchema = z.string().regex(/^[0-9a-f]{40}$/);

/** The schema of a repository's name: `google/gemma-2-2b`. */
export const repoSchema = z.string().regex(/^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/);

/** The schema of {@link HubFile}. */
export const hubFileSchema = z.object({
  path: z.string().max(1000).regex(pathPattern),
  size: z.int().min(0),
  oid: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
});

/** A file: its size in bytes, and its SHA-256 (large files), or git's SHA-1 of it (the others). */
export type HubFile = Readonly<z.infer<typeof hubFileSchema>>;

/** The schema of {@link HubSnapshot}. */
export const hubSnapshotSchema = z.object({
  repo: repoSchema,
  revision: z.string().max(200),
  commit: commitSchema,
  files: z.array(hubFileSchema).max(10_000).readonly(),
});

/** Chosen files of a repository at a commit, with all that is needed to fetch and check them. */
export type HubSnapshot = Readonly<z.infer<typeof hubSnapshotSchema>>;

/** The schema of {@link HubInputs}. */
export const hubInputsSchema = z.object({
  model: hubSnapshotSchema.nullable(),
  saes: z.array(hubSnapshotSchema).max(SITES_AT_MOST).readonly().nullable(),
});

/** Inputs of a run that come from a hub; null: from a folder, or there are none. */
export type HubInputs = Readonly<z.infer<typeof hubInputsSchema>>;
