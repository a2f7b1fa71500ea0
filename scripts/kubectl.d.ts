/** Where a usable kubectl lies: on PATH or in the project's cache; null when in neither. */
export function findKubectl(): string | null;
