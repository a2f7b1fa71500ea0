import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { allOf, badInput, ERROR_CODES, PatchbayError } from "../../../src/base/errors.js";
import { fromFailure, fromServiceError, toFailure, toServiceError } from "../../../src/wire/failure.js";
import { MAX_TEXT } from "../../../src/wire/limits.js";

test.each(ERROR_CODES)("%s crosses a message and a call with its detail", (code) => {
  const error = new PatchbayError(code, "what is wrong", { detail: { file: "a.jsonl", line: 3, field: "x.y" } });
  for (const back of [
    fromFailure(toFailure(error)),
    fromServiceError(Object.assign(new Error(), toServiceError(error))),
  ]) {
    expect(back).toMatchObject({ code, message: error.message, detail: error.detail });
  }
});

test("further faults of a round cross a call, as many as its header holds", () => {
  const faults = Array.from({ length: 19 }, (_, i) =>
    badInput(`fault ${String(i)} ${"x".repeat(i * 40)}`, { line: i }),
  );
  const back = fromServiceError(Object.assign(new Error(), toServiceError(allOf([badInput("first"), ...faults]))));
  const [fault, ...others] = [back, ...back.others].map(({ message }) => message);
  expect(fault).toBe("first");
  expect(others.slice(0, 3)).toEqual(faults.slice(0, 3).map(({ message }) => message));
  expect(others.at(-1)).toMatch(/^and \d+ more faults$/);
  expect(others.join("").length).toBeLessThan(4000);
});

test("what is not ours becomes an application error, without its stack", () => {
  expect(toFailure(new TypeError("x is undefined"))).toEqual({
    code: "application",
    message: "x is undefined",
    file: "",
    line: 0,
    field: "",
  });
});

test("long messages are cut", () => {
  expect(toFailure(new Error("x".repeat(2 * MAX_TEXT))).message).toHaveLength(MAX_TEXT);
});

test("a call that fails without our trailer means that there is no coordinator", () => {
  const error = Object.assign(new Error("14 UNAVAILABLE: no connection"), { code: status.UNAVAILABLE });
  expect(fromServiceError(error)).toMatchObject({ code: "coordinator_unreachable", retryable: true });
});

test("bad input is an invalid argument to gRPC, a missing coordinator unavailable", () => {
  expect(toServiceError(new PatchbayError("bad_input", "")).code).toBe(status.INVALID_ARGUMENT);
  expect(toServiceError(new PatchbayError("coordinator_unreachable", "")).code).toBe(status.UNAVAILABLE);
});
