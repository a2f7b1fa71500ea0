// Matrix products: with the faster of libtorch's two libraries, and with weights that may be bfloat16.
#pragma once
#include <ATen/ATen.h>

namespace patchbay {

/// A weight that is kept in bfloat16, widened; anything else as it is.
inline at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

/// a b, of matrices or stacks of them. Where one of them is a bfloat16 weight, the other is rounded to bfloat16 too and sums are float32; so
/// is everything between products. Where libtorch's own product serves, it rounds the result to bfloat16 once more.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);

}  // namespace patchbay
