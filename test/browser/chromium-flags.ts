/** @file How the browser suites start Chromium. */

/** Its command line. */
export const CHROMIUM_FLAGS = [
  "--headless",
  // Root cannot have the sandbox, nor can users everywhere; the page is this project's own, and fetches nothing.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
