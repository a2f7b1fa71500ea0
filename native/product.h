// Matrix products: with the faster of libtorch's two libraries, and with weights that may be bfloat16.
#pragma once
#include <ATen/ATen.h>

namespace patchbay {

/// A weight that is kept in bfloat16, widened; anything else as it is.
inline at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

/// a b, of matrices or stacks of them. Where one of them is a bfloat16 weight, the other is rounded to bfloat16 too, sums are float32,
/// and the result is rounded to bfloat16 once more before it becomes float32 again: so everything between products stays float32.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);

}  // namespace patchbay
