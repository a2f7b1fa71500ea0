/** @file The pipe to the process that started this one, if it did so with one. */
import { z } from "zod";

/** The schema of {@link ToParent}. */
export const toParentSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("listening"), host: z.string(), port: z.int().min(1).max(65535) }),
  z.object({ kind: z.literal("engine"), pid: z.int().min(1).nullable() }),
]);

/** What a role tells its parent: the port it serves, the engine process it owns (null: none now). */
export type ToParent = Readonly<z.infer<typeof toParentSchema>>;

/** Sends a message to the parent; without a parent, or when it is gone, nothing happens. */
export function tellParent(message: ToParent): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Calls back once when the parent's end of the pipe closes. Does nothing without a parent. @returns how to stop waiting. */
export function onParentGone(callback: () => void): () => void {
  if (process.send === undefined) return () => undefined;
  if (!process.connected) {
    callback();
    return () => undefined;
  }
  process.once("disconnect", callback);
  return () => {
    process.off("disconnect", callback);
  };
}

/**
 * When a role's process is to end: `drain` after the first SIGTERM, `stop` after a second one or when the parent is gone. Without a
 * parent SIGINT counts as SIGTERM.
 */
export function endSignals(): { readonly drain: AbortSignal; readonly stop: AbortSignal } {
  const [drain, stop] = [new AbortController(), new AbortController()];
  const onSignal = (): void => {
    if (drain.signal.aborted) stop.abort();
    drain.abort();
  };
  process.on("SIGTERM", onSignal);
  // A terminal's SIGINT reaches the parent too, which then decides.
  process.on("SIGINT", process.send === undefined ? onSignal : () => undefined);
  onParentGone(() => {
    stop.abort();
  });
  return { drain: drain.signal, stop: stop.signal };
}
