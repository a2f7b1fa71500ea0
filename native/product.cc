// libtorch multiplies float32 matrices with its BLAS. PyPI's is MKL, which takes AVX2 loops on processors of other makers than Intel;
// oneDNN, which the same libtorch holds for other work, goes by the instructions that there are: more than twice the rate where the
// processor has AVX-512. Where libtorch has no such operation (1.13), its BLAS serves.
#include "product.h"

#include "bfloat16-product.h"
#include "signals.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace patchbay {
namespace {

using at::Tensor;

/// Multiplications below which a call of oneDNN costs more than it saves.
constexpr int64_t kFewMultiplications = int64_t{1} << 19;

/// Below so many rows oneDNN's AVX2 loops are slower than the BLAS where the matrix lies row by row, as it does on the way back through a
/// layer: 70 against 78 to 95 GFLOP/s of a core at 64 to 256 rows of a 2304 x 9216 matrix, and 122 against 99 at 384.
constexpr int64_t kRowsForPlainMatrix = 320;

/// oneDNN's `x weight^T + bias`, where this libtorch has it.
const auto& oneDnnLinear() {
  static const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  static const decltype(found) none;
  return found && found->hasKernelForDispatchKey(c10::DispatchKey::CPU) ? found : none;
}

bool isSlowLayout(const Tensor& a, const Tensor& b) {
#if defined(__x86_64__)
  return !__builtin_cpu_supports("avx512f") && b.is_contiguous() && a.size(0) < kRowsForPlainMatrix;
#else
  return false;
#endif
}

bool suitsOneDnn(const Tensor& a, const Tensor& b) {
  return a.dim() == 2 && b.dim() == 2 && a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat && a.is_cpu() &&
         a.size(0) * a.size(1) * b.size(1) >= kFewMultiplications && oneDnnLinear() &&
         !isSlowLayout(a, b);
}

}  // namespace

at::Tensor product(const Tensor& a, const Tensor& b) {
  const ProfilerWaits waits;
  if (suitsTimesBfloat16(a, b)) return timesBfloat16(a, b);
  if (a.scalar_type() == at::kBFloat16 || b.scalar_type() == at::kBFloat16)
    return at::matmul(a.to(at::kBFloat16), b.to(at::kBFloat16)).to(at::kFloat);
  if (!suitsOneDnn(a, b)) return at::matmul(a, b);
  const c10::impl::GenericList noScalars(c10::OptionalType::create(c10::NumberType::get()));
  std::vector<c10::IValue> stack{a, b.t(), c10::IValue(), "none", noScalars, ""};
  oneDnnLinear()->callBoxed(&stack);
  return stack[0].toTensor();
}

}  // namespace patchbay
