/** @file Addresses of coordinators, as people write them. */

/** Whether the text is HOST:PORT. */
export function isAddress(text: string): boolean {
  const port = Number(/^\S+:(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65_535;
}
