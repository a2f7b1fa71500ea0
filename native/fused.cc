// A layer's elementwise parts, one kernel each: RMS norm, GELU times up, rope. Computed in float32, given in the input's dtype.
// Every row is computed by one thread in one order, so bits do not depend on the number of threads.
#include "call.h"
#include "dot.h"
#include "processors.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace patchbay {
namespace {

using at::Tensor;

/// Rows of a thread's share, at least.
constexpr int64_t kFewRows = 4;

Tensor floats(const Tensor& x) { return x.to(at::kFloat).contiguous(); }

FOR_EACH_PROCESSOR void scaleRow(const float* x, const float* gain, float scale, int64_t size, float* y) {
  for (int64_t i = 0; i < size; i++) y[i] = x[i] * scale * gain[i];
}

/// rmsNorm(x, gain, eps): `x rsqrt(mean(x^2) + eps) gain` over the last axis.
napi_value rmsNorm(Call& call) {
  const Tensor x = floats(call.tensor(0));
  const Tensor gain = floats(call.tensor(1));
  const auto eps = static_cast<float>(call.number(2));
  const int64_t width = x.size(-1);
  const Tensor y = at::empty_like(x);
  const auto* from = x.data_ptr<float>();
  const auto* gains = gain.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  at::parallel_for(0, x.numel() / width, kFewRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = from + r * width;
      const float mean = dot(row, row, width) / static_cast<float>(width);
      scaleRow(row, gains, 1 / std::sqrt(mean + eps), width, to + r * width);
    }
  });
  return call.give(y.to(call.tensor(0).scalar_type()));
}

FOR_EACH_PROCESSOR void normGradientRow(const float* dy, const float* x, const float* gain, float scale, int64_t size,
                                        float* dx) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; lane++) lanes[lane] += dy[i + lane] * gain[i + lane] * x[i + lane];
  float along = 0;
  for (const float lane : lanes) along += lane;
  for (; i < size; i++) along += dy[i] * gain[i] * x[i];
  const float back = along * scale * scale * scale / static_cast<float>(size);
  for (int64_t j = 0; j < size; j++) dx[j] = dy[j] * gain[j] * scale - x[j] * back;
}

/// rmsNormGradient(dy, x, gain, eps): of x.
napi_value rmsNormGradient(Call& call) {
  const Tensor dy = floats(call.tensor(0));
  const Tensor x = floats(call.tensor(1));
  const Tensor gain = floats(call.tensor(2));
  const auto eps = static_cast<float>(call.number(3));
  const int64_t width = x.size(-1);
  const Tensor dx = at::empty_like(x);
  const auto* dys = dy.data_ptr<float>();
  const auto* xs = x.data_ptr<float>();
  const auto* gains = gain.data_ptr<float>();
  auto* to = dx.data_ptr<float>();
  at::parallel_for(0, x.numel() / width, kFewRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = xs + r * width;
      const float mean = dot(row, row, width) / static_cast<float>(width);
      normGradientRow(dys + r * width, row, gains, 1 / std::sqrt(mean + eps), width, to + r * width);
    }
  });
  return call.give(dx.to(call.tensor(1).scalar_type()));
}

/// geluTimes(gate, up): `gelu(gate) up`, GELU in its tanh form.
napi_value geluTimes(Call& call) {
  const Tensor gate = floats(call.tensor(0));
  return call.give(at::gelu(gate, "tanh").mul_(floats(call.tensor(1))).to(call.tensor(0).scalar_type()));
}

/// geluTimesGradient(dy, gate, up): of gate and up.
napi_value geluTimesGradient(Call& call) {
  const Tensor dy = floats(call.tensor(0));
  const Tensor gate = floats(call.tensor(1));
  const auto type = call.tensor(1).scalar_type();
  const Tensor ofGate = at::gelu_backward(at::mul(dy, floats(call.tensor(2))), gate, "tanh");
  return call.giveAll({ofGate.to(type), at::gelu(gate, "tanh").mul_(dy).to(type)});
}

FOR_EACH_PROCESSOR void turnHead(const float* x, const float* cos, const float* sin, float direction, int64_t half,
                                 float* y) {
  for (int64_t i = 0; i < half; i++) {
    y[i] = x[i] * cos[i] - direction * x[i + half] * sin[i];
    y[i + half] = x[i + half] * cos[i + half] + direction * x[i] * sin[i + half];
  }
}

/// rope(x, cos, sin, direction): rotates each head of each row, forward (1) or back (-1). cos and sin are [rows, 1, H].
napi_value rope(Call& call) {
  const Tensor x = floats(call.tensor(0));
  const Tensor cos = floats(call.tensor(1));
  const Tensor sin = floats(call.tensor(2));
  const auto direction = static_cast<float>(call.number(3));
  const int64_t rows = x.size(0);
  const int64_t width = x.size(1);
  const int64_t head = cos.size(-1);
  const Tensor y = at::empty_like(x);
  const auto* from = x.data_ptr<float>();
  const auto* cosines = cos.data_ptr<float>();
  const auto* sines = sin.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  at::parallel_for(0, rows, kFewRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++)
      for (int64_t at = r * width; at < (r + 1) * width; at += head)
        turnHead(from + at, cosines + r * head, sines + r * head, direction, head / 2, to + at);
  });
  return call.give(y.to(call.tensor(0).scalar_type()));
}

const Entry kEntries[] = {
    {"rmsNorm", rmsNorm},         {"rmsNormGradient", rmsNormGradient},
    {"geluTimes", geluTimes},     {"geluTimesGradient", geluTimesGradient},
    {"rope", rope},
};

}  // namespace

void defineFused(napi_env env, napi_value exports) { define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry)); }

}  // namespace patchbay
