/** Options of a build, as build-native.js explains them. */
interface BuildOptions {
  readonly from?: string;
  readonly fetch?: boolean;
  readonly orFetch?: boolean;
  readonly force?: boolean;
  readonly into?: string;
  readonly anyProcessor?: boolean;
}

/** Where the addon on PyPI's libtorch is put for tests, beside one on another. */
export const PYPI_BUILD: string;
/** Builds the addon unless it is up to date. `missing`: this machine lacks what a build needs. */
export function buildNative(
  options?: BuildOptions,
): Promise<{ readonly path?: string; readonly problem?: string; readonly missing?: boolean }>;
/** Whether the addon in native/build is on PyPI's libtorch, which the numeric suites then need not run on again. */
export function isOnPypi(): boolean;
