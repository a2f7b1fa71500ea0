// The Node-API module: TensorFlow.js kernels over libtorch. Its JavaScript side is src/worker/backends/torch*.ts.
#include "allocator.h"
#include "call.h"
#include "signals.h"

#include <c10/core/InferenceMode.h>

namespace {

napi_value start(napi_env env, napi_value exports) {
  static const bool first = [] {
    patchbay::leaveSignalsToOtherThreads();
    patchbay::installAllocator();
    // For the rest of the process: nothing here is differentiated by libtorch.
    new c10::InferenceMode(true);
    return true;
  }();
  (void)first;
  patchbay::defineTensorFunctions(env, exports);
  patchbay::defineKernels(env, exports);
  patchbay::defineSparse(env, exports);
  patchbay::defineDevice(env, exports);
  patchbay::defineWeights(env, exports);
  patchbay::defineFused(env, exports);
  patchbay::defineAttention(env, exports);
  patchbay::defineAdam(env, exports);
  return exports;
}

}  // namespace

NAPI_MODULE(patchbay_torch, start)
