#include "signals.h"

#include <pthread.h>

#include <initializer_list>

namespace patchbay {

void leaveSignalsToOtherThreads() {
  sigset_t signals;
  sigfillset(&signals);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF}) sigdelset(&signals, own);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

ProfilerWaits::ProfilerWaits() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
}

ProfilerWaits::~ProfilerWaits() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace patchbay
