/** @file Prints a text that may be long, to a reader who may stop reading. */

/** Writes the text and a line feed to standard output. */
export function printText(text: string): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error; // A reader that has seen enough, such as `head`, is no failure.
  });
  process.stdout.write(`${text}\n`);
}
