// The device that tensors live on: the CPU, or the first GPU of a libtorch with CUDA.
#pragma once
#include <ATen/ATen.h>

namespace patchbay {

/// Where every tensor is made.
at::Device device();

/// TensorFlow.js's dtypes and bfloat16, by the numbers that torch-addon.ts gives them.
at::ScalarType typeOf(int64_t code);

}  // namespace patchbay
