import { describe, expect, test } from "vitest";
import { openRunLog } from "../../../src/runlog/open-run-log.js";

describe("location of a run log", () => {
  test.each(["dir:relative/folder", "dir:", "/a/folder", "http://127.0.0.1:4222", "nats", "nats:/host", ""])(
    "%j is refused as bad input that says what is expected",
    async (location) => {
      const opening = openRunLog(location, "run");
      await expect(opening).rejects.toMatchObject({ code: "bad_input", detail: { field: "--log" } });
      await expect(opening).rejects.toThrow(/expected .*nats:\/\/HOST:PORT, got/);
    },
  );

  test("an address that is no URL is refused before anything connects", async () => {
    await expect(openRunLog("nats://host:notaport", "run")).rejects.toMatchObject({ code: "bad_input" });
  });
});
