/**
 * @file The Python side's environment: a virtual environment in .cache with PyTorch and transformers from PyPI.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** What is installed; the versions of ENGINES' figures for PyTorch. About 5 GB, because PyPI's Linux wheel brings CUDA along. */
const PACKAGES = ["torch==2.11.0", "transformers>=4.50,<6", "numpy", "safetensors"];

/** Path of a Python that has what peers.py needs; makes the environment where there is none. */
export function ensurePython(folder) {
  const python = join(folder, "bin", "python");
  if (existsSync(python) && works(python)) return python;
  console.log(`installing ${PACKAGES.join(", ")} into ${folder} (about 5 GB, a few minutes, once)`);
  mkdirSync(dirname(folder), { recursive: true });
  must("python3", ["-m", "venv", folder]);
  must(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES]);
  if (!works(python))
    throw new Error(`${python} still cannot import torch and transformers; delete ${folder} and run again`);
  return python;
}

function works(python) {
  return spawnSync(python, ["-c", "import numpy, torch, transformers"], { stdio: "ignore" }).status === 0;
}

function must(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 3).join(" ")} ended with exit code ${status}`);
}
