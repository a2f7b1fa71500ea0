/** @file Loaded into a worker's processes by a test: ends those that are engines before they can do anything. */
if (/engine-main\.js$/.test(process.argv[1] ?? "")) {
  process.stderr.write("this engine is made to die\n");
  process.exit(9);
}
