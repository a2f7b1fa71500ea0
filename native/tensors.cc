// Tensors in and out, memory, threads: everything that is not arithmetic.
#include "allocator.h"
#include "call.h"
#include "device.h"
#include "product.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <cstring>
#include <stdexcept>

namespace patchbay {
namespace {

/// create(values, dtype, ...shape): a copy of a typed array.
napi_value create(Call& call) {
  const Call::Bytes values = call.bytes(0);
  at::Tensor tensor = at::empty(call.integersFrom(2), at::TensorOptions().dtype(typeOf(call.integer(1))));
  if (tensor.nbytes() != values.length)
    throw std::invalid_argument("expected " + std::to_string(tensor.nbytes()) + " bytes, got " +
                                std::to_string(values.length));
  if (values.length > 0) std::memcpy(tensor.data_ptr(), values.start, values.length);
  if (device().is_cpu()) return call.give(tensor);
  // A number is written by a kernel: it need not wait for a copy.
  if (tensor.numel() == 1) return call.give(at::full(tensor.sizes(), tensor.item(), tensor.options().device(device())));
  return call.give(tensor.to(device()));
}

/// readInto(tensor, values): copies its values into a typed array. (Where memory for one made here were wanting, V8 would end the process.)
napi_value readInto(Call& call) {
  const at::Tensor whole = wide(call.tensor(0)).contiguous().to(at::kCPU);
  const Call::Bytes values = call.bytes(1);
  expect(values.length == whole.nbytes(), "room for the tensor's values");
  if (values.length > 0) std::memcpy(values.start, whole.data_ptr(), values.length);
  return call.nothing();
}

napi_value drop(Call& call) {
  dropHandle(call.integer(0));
  return call.nothing();
}

napi_value cast(Call& call) { return call.give(call.tensor(0).to(typeOf(call.integer(1)))); }

napi_value fill(Call& call) {
  const auto options = at::TensorOptions().dtype(typeOf(call.integer(1))).device(device());
  return call.give(at::full(call.integersFrom(2), call.number(0), options));
}

napi_value setThreads(Call& call) {
  at::set_num_threads(static_cast<int>(call.integer(0)));
  return call.nothing();
}

/// processor(): the widest vectors there are, by which matrix libraries choose their loops.
napi_value processor(Call& call) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return call.giveText("AVX-512");
  if (__builtin_cpu_supports("avx2")) return call.giveText("AVX2");
  return call.giveText("SSE");
#else
  return call.giveText("scalar");
#endif
}

const Entry kEntries[] = {
    {"create", create},
    {"readInto", readInto},
    {"drop", drop},
    {"cast", cast},
    {"fill", fill},
    {"sizeOf", [](Call& call) { return call.giveNumber(static_cast<double>(call.tensor(0).numel())); }},
    {"setThreads", setThreads},
    {"threads", [](Call& call) { return call.giveNumber(at::get_num_threads()); }},
    {"version", [](Call& call) { return call.giveText(TORCH_VERSION); }},
    {"sources", [](Call& call) { return call.giveText(PATCHBAY_SOURCES); }},
    {"processor", processor},
    {"liveTensors", [](Call& call) { return call.giveNumber(static_cast<double>(liveHandles())); }},
    {"limitBytes",
     [](Call& call) {
       setMemoryLimit(static_cast<size_t>(call.number(0)));
       return call.nothing();
     }},
};

}  // namespace

void defineTensorFunctions(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
