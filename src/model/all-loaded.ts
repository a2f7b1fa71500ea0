/** @file Tensors that are loaded side by side: all of them, or none. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** Tensors on their way, by name. */
type Loading<Loaded> = { readonly [Name in keyof Loaded]: Promise<Loaded[Name]> };

/** Waits for all of them. Where one fails, the others are disposed when they have come. Owner: caller. */
export async function allLoaded<Loaded extends { readonly [Name in keyof Loaded]: Tensor | undefined }>(
  loading: Loading<Loaded>,
): Promise<Loaded> {
  const promises = Object.entries(loading) as [string, Promise<Tensor>][];
  const settled = await Promise.allSettled(promises.map(([, promise]) => promise));
  const fault = settled.find((one) => one.status === "rejected");
  if (fault !== undefined) {
    tf.dispose(settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])));
    throw fault.reason;
  }
  const tensors = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return Object.fromEntries(promises.map(([name], i) => [name, tensors[i]])) as Loaded;
}
