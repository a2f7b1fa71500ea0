import { expect, test } from "vitest";
import { PatchbayError, type ErrorCode } from "../../../src/base/errors.js";
import { patiently } from "../../../src/worker/patiently.js";

function failing(times: number, code: ErrorCode): () => Promise<string> {
  let left = times;
  return () => (left-- > 0 ? Promise.reject(new PatchbayError(code, "away")) : Promise.resolve("done"));
}

const never = new AbortController().signal;

test("what fails for want of a coordinator or of NATS is tried again", async () => {
  expect(await patiently(failing(1, "coordinator_unreachable"), never)).toBe("done");
  expect(await patiently(failing(1, "nats_unreachable"), never)).toBe("done");
});

test("any other failure is final, and so is NATS that stays away", async () => {
  await expect(patiently(failing(1, "bad_input"), never)).rejects.toMatchObject({ code: "bad_input" });
  await expect(patiently(failing(1, "nats_unreachable"), never, 0)).rejects.toMatchObject({ code: "nats_unreachable" });
});

test("waiting ends with the worker", async () => {
  await expect(patiently(failing(1, "coordinator_unreachable"), AbortSignal.abort())).rejects.toThrow("away");
});
