/** @file What the environment says about a hub, where it says nothing that can be used. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { readHubSettings } from "../../../src/hub/hub-settings.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

function refusal(): PatchbayError {
  try {
    readHubSettings();
  } catch (error) {
    if (error instanceof PatchbayError) return error;
  }
  throw new Error("expected a refusal");
}

test.each(["hf_secret\nx", "hf_“secret”", "hf_sec ret"])(
  "a token that cannot be sent is refused, and not shown: %j",
  (token) => {
    vi.stubEnv("HF_TOKEN", token);
    const { code, message } = refusal();
    expect(code).toBe("bad_input");
    expect(message).toBe("HF_TOKEN: expected a token of printable ASCII characters, got others; copy it again");
  },
);

test("so is one in the file of a login, and the file is named", () => {
  const file = join(temporaryFolder(), "token");
  writeFileSync(file, "hf_sec\nret\n");
  vi.stubEnv("HF_TOKEN", "");
  vi.stubEnv("HF_TOKEN_PATH", file);
  expect(refusal().message).toContain(`${file}: expected a token`);
});

test("blanks around a token do not count", () => {
  vi.stubEnv("HF_TOKEN", " hf_x\n");
  expect(readHubSettings().token).toBe("hf_x");
});
