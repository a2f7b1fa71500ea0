/** @file The environment variables that set an engine's number of threads: native libraries read them when they load. */

/** Variables for `threads` threads, which sleep as soon as they wait. */
export function threadSettings(threads: number): Record<string, string> {
  const count = String(threads);
  return {
    OMP_NUM_THREADS: count,
    OMP_WAIT_POLICY: "passive",
    TF_NUM_INTRAOP_THREADS: count,
    TF_NUM_INTEROP_THREADS: "1",
  };
}
