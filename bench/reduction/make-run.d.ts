/** Writes a run folder of seeded random records. */
export function makeRun(
  folder: string,
  sizes: {
    readonly prompts: number;
    readonly nodes: number;
    readonly scores: number;
    readonly clusters?: number;
    readonly block?: number;
    readonly unlisted?: number;
  },
): Promise<void>;
