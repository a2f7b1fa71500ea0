/** @file Names of the tables of circuits. */

/** A row per circuit. */
export const CIRCUITS_FILE = "circuits.parquet";
/** A row per circuit, prompt and side. */
export const CIRCUIT_PROMPTS_FILE = "circuits-prompts.parquet";
