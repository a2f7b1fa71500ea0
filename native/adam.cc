// One step of Adam in one pass over the arrays; composed from TensorFlow.js kernels it is twelve.
#include "call.h"
#include "processors.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace patchbay {
namespace {

using at::Tensor;

/// Numbers of a thread's share, at least.
constexpr int64_t kShare = 1 << 14;

struct Rates {
  float beta1;
  float beta2;
  float rate;
  float epsilon;
};

struct Arrays {
  const float* value;
  const float* first;
  const float* second;
  const float* gradient;
  float* newValue;
  float* newFirst;
  float* newSecond;
};

FOR_EACH_PROCESSOR void adamRange(Arrays a, Rates r, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const float first = a.first[i] * r.beta1 + a.gradient[i] * (1 - r.beta1);
    const float second = a.second[i] * r.beta2 + a.gradient[i] * a.gradient[i] * (1 - r.beta2);
    a.newFirst[i] = first;
    a.newSecond[i] = second;
    a.newValue[i] = a.value[i] - first / (std::sqrt(second) + r.epsilon) * r.rate;
  }
}

/// adam(value, first, second, gradient, beta1, beta2, rate, epsilon): the new value and moments, in float32.
napi_value adam(Call& call) {
  Tensor from[4];
  for (size_t i = 0; i < 4; i++) from[i] = call.tensor(i).to(at::kFloat).contiguous();
  for (const Tensor& one : from) expect(one.sizes() == from[0].sizes(), "value, moments and gradient of one shape");
  const auto number = [&](size_t index) { return static_cast<float>(call.number(index)); };
  const Rates rates{number(4), number(5), number(6), number(7)};
  const Tensor value = at::empty_like(from[0]);
  const Tensor first = at::empty_like(from[0]);
  const Tensor second = at::empty_like(from[0]);
  const Arrays arrays{from[0].data_ptr<float>(), from[1].data_ptr<float>(), from[2].data_ptr<float>(),
                      from[3].data_ptr<float>(), value.data_ptr<float>(),   first.data_ptr<float>(),
                      second.data_ptr<float>()};
  at::parallel_for(0, value.numel(), kShare,
                   [&](int64_t begin, int64_t end) { adamRange(arrays, rates, begin, end); });
  return call.giveAll({value, first, second});
}

const Entry kEntries[] = {{"adam", adam}};

}  // namespace

void defineAdam(napi_env env, napi_value exports) { define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry)); }

}  // namespace patchbay
