// Products with bfloat16 weights on processors that multiply bfloat16 (AVX512_BF16).
#pragma once
#include <ATen/ATen.h>

namespace patchbay {

/// Whether `timesBfloat16` can multiply these. Where the processor has AMX, libtorch's own product is faster and serves.
bool suitsTimesBfloat16(const at::Tensor& a, const at::Tensor& b);

/// a b, float32: a is rounded to bfloat16, sums and result are float32. Each number is summed in one order: its bits depend neither on the
/// rows beside it nor on the number of threads.
at::Tensor timesBfloat16(const at::Tensor& a, const at::Tensor& b);

}  // namespace patchbay
