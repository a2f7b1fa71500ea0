/**
 * @file A process that appends records. Arguments: location, run id, worker name, count, payload bytes. It says "ready", waits for
 * "go", appends shard 0, 1, ... in turn, and sends `{ shard, status, sha256 }` for each; a count of 0 never ends.
 */
import { createHash } from "node:crypto";
import { openRunLog } from "../../dist/runlog/open-run-log.js";

const [location, runId, worker, count, size] = process.argv.slice(2);
const log = await openRunLog(location, runId);
process.once("disconnect", () => process.exit());
process.send("ready");
await new Promise((go) => process.once("message", go));
for (let i = 0; Number(count) === 0 || i < Number(count); i++) {
  const payload = Buffer.alloc(Number(size), `${worker} ${i};`);
  const sha256 = createHash("sha256").update(payload).digest("hex");
  const shard = `race.${String(i).padStart(5, "0")}`;
  const outcome = await log.append(
    {
      version: 1,
      planHash: "p",
      shard,
      attempt: 1,
      epoch: 1,
      worker,
      environment: "e",
      dtype: "float32",
      count: 1,
      sha256,
      seconds: 0,
      units: {},
    },
    payload,
  );
  process.send({ shard, own: sha256, ...outcome });
}
await log.close();
process.send("done", () => process.disconnect());
