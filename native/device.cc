// Chooses the device. The addon is linked against libtorch's CPU part alone; its CUDA part, where there is one, registers itself
// when it is loaded, so one addon serves both and needs no CUDA headers.
#include "device.h"

#include "allocator.h"
#include "call.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/version.h>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#define PATCHBAY_HAS_DEVICE_ALLOCATOR
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include <stdexcept>

namespace patchbay {
namespace {

at::Device& current() {
  static at::Device one(at::kCPU);
  return one;
}

/// Why there is no GPU to use; empty where there is one.
std::string whyNoGpu() {
  // Without a driver libtorch's CUDA part would load for seconds in vain.
  if (dlopen("libcuda.so.1", RTLD_LAZY) == nullptr) return "no NVIDIA driver is installed";
  static void* const cuda = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  if (cuda == nullptr) {
    const char* words = dlerror();
    return std::string("this libtorch has no CUDA that loads: ") + (words == nullptr ? "unknown" : words);
  }
  return at::detail::getCUDAHooks().getNumGPUs() > 0 ? "" : "the driver shows no GPU";
}

/// useDevice("cpu" or "cuda"): for all tensors from now on; call before the first.
napi_value useDevice(Call& call) {
  const std::string name = call.text(0);
  if (name != "cpu" && name != "cuda") throw std::invalid_argument("expected cpu or cuda, got " + name);
  if (name == "cuda") {
    const std::string problem = whyNoGpu();
    if (!problem.empty()) throw std::invalid_argument("cuda cannot be used: " + problem);
  }
#if TORCH_VERSION_MAJOR >= 2
  // Parts of a sum would be added in bfloat16, unless this is set: sums are float32.
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
#endif
  current() = name == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  return call.nothing();
}

/// synchronize(): returns when the device has done all that it was given.
napi_value synchronize(Call& call) {
  if (current().is_cuda()) {
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    guard.synchronizeStream(guard.getStream(current()));
  }
  return call.nothing();
}

/// allowTf32(allow): whether float32 products on a GPU may round their factors to TF32.
napi_value allowTf32(Call& call) {
  at::globalContext().setAllowTF32CuBLAS(call.truth(0));
  return call.nothing();
}

/// Bytes of live tensors on the device, and the most there have been; 0 where an older libtorch does not tell.
MemoryCounts deviceCounts() {
  if (!current().is_cuda()) return memoryCounts();
#ifdef PATCHBAY_HAS_DEVICE_ALLOCATOR
  const auto stats = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(current().index());
  const auto& all = stats.allocated_bytes[0];
  return {static_cast<size_t>(all.current), static_cast<size_t>(all.peak), 0};
#else
  return {0, 0, 0};
#endif
}

const Entry kEntries[] = {
    {"useDevice", useDevice},
    {"gpuProblem", [](Call& call) { return call.giveText(whyNoGpu()); }},
    {"synchronize", synchronize},
    {"allowTf32", allowTf32},
    {"liveBytes", [](Call& call) { return call.giveNumber(static_cast<double>(deviceCounts().live)); }},
    {"peakBytes", [](Call& call) { return call.giveNumber(static_cast<double>(deviceCounts().peak)); }},
};

}  // namespace

at::Device device() { return current(); }

at::ScalarType typeOf(int64_t code) {
  if (code == 0) return at::kFloat;
  if (code == 1) return at::kInt;
  if (code == 2) return at::kBool;
  if (code == 3) return at::kBFloat16;
  throw std::invalid_argument("expected dtype 0, 1, 2 or 3");
}

void defineDevice(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
