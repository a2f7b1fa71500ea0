// oneDNN's kernels keep other things than the stack where a signal's handler expects the stack: a handler that runs on a thread in the
// middle of one overwrites memory. So threads that compute take no signals; Node's other threads do, and hand them to its event loop.
#pragma once

#include <csignal>

namespace patchbay {

/// From here on the calling thread and those that it starts take no signals but faults of their own and the profiler's.
void leaveSignalsToOtherThreads();

/// Keeps the profiler's signal, which is meant for this thread, waiting while it lives.
class ProfilerWaits {
 public:
  ProfilerWaits();
  ~ProfilerWaits();
  ProfilerWaits(const ProfilerWaits&) = delete;
  ProfilerWaits& operator=(const ProfilerWaits&) = delete;

 private:
  sigset_t before_;
};

}  // namespace patchbay
