/** SHA-256 of a sweep's plan and artifacts, by name, as this Node makes them on wasm. */
export function hashesOn(node: string, sweep: string): Record<string, string>;
