/** @file How much memory there is. */
import { totalmem } from "node:os";

/** Memory that processes here may use together, in MiB: the machine's, or a container's where that is less. */
export function memoryMib(): number {
  const limit = process.constrainedMemory();
  const total = totalmem();
  return Math.floor((limit > 0 && limit < total ? limit : total) / 2 ** 20);
}
