/** @file Whether a port can be listened on, asked before anything is written. */
import { createServer } from "node:net";
import { PatchbayError } from "../base/errors.js";

/** @throws PatchbayError `port_in_use` when something else listens on 127.0.0.1:`port`. Port 0 is always free. */
export async function checkPort(port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
  } catch (error) {
    throw new PatchbayError(
      "port_in_use",
      `--port ${port}: another process listens on 127.0.0.1:${port}; choose another port, or 0 for any free one`,
      { cause: error },
    );
  } finally {
    server.close();
  }
}
