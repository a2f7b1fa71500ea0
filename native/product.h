// Matrix products in which weights may be bfloat16.
#pragma once
#include <ATen/ATen.h>

namespace patchbay {

/// A weight that is kept in bfloat16, widened; anything else as it is.
inline at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

/// a b. Where one of them is a bfloat16 weight, the other is rounded to bfloat16 too, sums are float32, and the result is rounded to
/// bfloat16 once more before it becomes float32 again: so everything between products stays float32.
inline at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != at::kBFloat16 && b.scalar_type() != at::kBFloat16) return at::matmul(a, b);
  return at::matmul(a.to(at::kBFloat16), b.to(at::kBFloat16)).to(at::kFloat);
}

}  // namespace patchbay
