// A layer's elementwise parts, one kernel each: RMS norm, GELU times up, rope. Computed in float32, given in the input's dtype.
// Every row is computed by one thread in one order, so bits do not depend on the number of threads.
#include "call.h"
#include "dot.h"
#include "lanes.h"
#include "processors.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

namespace patchbay {
namespace {

using at::Tensor;

/// Numbers of a thread's share, at least: below that, waking another thread costs more than it saves.
constexpr int64_t kFewNumbers = int64_t{1} << 15;
constexpr int64_t kFewVectors = kFewNumbers / kVector;

int64_t fewRows(int64_t width) { return std::max<int64_t>(1, kFewNumbers / std::max<int64_t>(1, width)); }

Tensor floats(const Tensor& x) { return x.to(at::kFloat).contiguous(); }

/// Rows of x, which a norm's gains are for.
int64_t rowsOf(const Tensor& x, const Tensor& gain) {
  expect(x.dim() > 0 && x.size(-1) > 0 && gain.numel() == x.size(-1), "a gain for each number of a row");
  return x.numel() / x.size(-1);
}

FOR_EACH_PROCESSOR void scaleRow(const float* x, const float* gain, float scale, int64_t size, float* y) {
  for (int64_t i = 0; i < size; i++) y[i] = x[i] * scale * gain[i];
}

/// rmsNorm(x, gain, eps): `x rsqrt(mean(x^2) + eps) gain` over the last axis.
napi_value rmsNorm(Call& call) {
  const Tensor x = floats(call.tensor(0));
  const Tensor gain = floats(call.tensor(1));
  const auto eps = static_cast<float>(call.number(2));
  const int64_t rows = rowsOf(x, gain);
  const int64_t width = x.size(-1);
  const Tensor y = at::empty_like(x);
  const auto* from = x.data_ptr<float>();
  const auto* gains = gain.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  at::parallel_for(0, rows, fewRows(width), [&](int64_t begin, int64_t end) {
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
  const int64_t rows = rowsOf(x, gain);
  expect(dy.numel() == x.numel(), "a gradient of x's shape");
  const int64_t width = x.size(-1);
  const Tensor dx = at::empty_like(x);
  const auto* dys = dy.data_ptr<float>();
  const auto* xs = x.data_ptr<float>();
  const auto* gains = gain.data_ptr<float>();
  auto* to = dx.data_ptr<float>();
  at::parallel_for(0, rows, fewRows(width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = xs + r * width;
      const float mean = dot(row, row, width) / static_cast<float>(width);
      normGradientRow(dys + r * width, row, gains, 1 / std::sqrt(mean + eps), width, to + r * width);
    }
  });
  return call.give(dx.to(call.tensor(1).scalar_type()));
}

/// GELU in its tanh form is x times this: `1 / (1 + e^-w)` with `w = 2 sqrt(2/pi) (x + 0.044715 x^3)`.
/// Source: Hendrycks and Gimpel, arXiv 1606.08415.
constexpr float kLinear = 1.59576912161f;
constexpr float kCubic = 0.07135481627f;

INLINED Lanes geluShare(const Lanes& x) {
  const Lanes down = -x * (kCubic * x * x + kLinear);
  const Lanes most = Lanes{} + 87.0f;
  return 1.0f / (exponential(choose(down > most, most, down)) + 1.0f);
}

INLINED Lanes geluTimes(const Lanes& gate, const Lanes& up) { return gate * geluShare(gate) * up; }

FOR_EACH_PROCESSOR void geluTimesVectors(const float* gate, const float* up, int64_t size, float* y) {
  for (int64_t i = 0; i < size; i += kVector) store(geluTimes(load(gate + i), load(up + i)), y + i);
}

FOR_EACH_PROCESSOR void geluTimesRest(const float* gate, const float* up, int64_t size, float* y) {
  storeSome(geluTimes(loadSome(gate, size), loadSome(up, size)), size, y);
}

/// geluTimes(gate, up): `gelu(gate) up`.
napi_value geluTimes(Call& call) {
  const Tensor gate = floats(call.tensor(0));
  const Tensor up = floats(call.tensor(1));
  expect(up.sizes() == gate.sizes(), "gate and up of one shape");
  const Tensor y = at::empty_like(gate);
  const auto* gates = gate.data_ptr<float>();
  const auto* ups = up.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  const int64_t vectors = gate.numel() / kVector;
  at::parallel_for(0, vectors, kFewVectors, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * kVector;
    geluTimesVectors(gates + at, ups + at, (end - begin) * kVector, to + at);
  });
  const int64_t done = vectors * kVector;
  if (done < gate.numel()) geluTimesRest(gates + done, ups + done, gate.numel() - done, to + done);
  return call.give(y.to(call.tensor(0).scalar_type()));
}

INLINED void geluTimesGradient(const Lanes& dy, const Lanes& gate, const Lanes& up, Lanes& ofGate, Lanes& ofUp) {
  const Lanes share = geluShare(gate);
  const Lanes slope = share + gate * share * (1.0f - share) * (3.0f * kCubic * gate * gate + kLinear);
  ofGate = dy * up * slope;
  ofUp = dy * gate * share;
}

FOR_EACH_PROCESSOR void geluTimesGradientVectors(const float* dy, const float* gate, const float* up, int64_t size,
                                                 float* ofGate, float* ofUp) {
  for (int64_t i = 0; i < size; i += kVector) {
    Lanes gates, ups;
    geluTimesGradient(load(dy + i), load(gate + i), load(up + i), gates, ups);
    store(gates, ofGate + i);
    store(ups, ofUp + i);
  }
}

FOR_EACH_PROCESSOR void geluTimesGradientRest(const float* dy, const float* gate, const float* up, int64_t size,
                                              float* ofGate, float* ofUp) {
  Lanes gates, ups;
  geluTimesGradient(loadSome(dy, size), loadSome(gate, size), loadSome(up, size), gates, ups);
  storeSome(gates, size, ofGate);
  storeSome(ups, size, ofUp);
}

/// geluTimesGradient(dy, gate, up): of gate and up.
napi_value geluTimesGradient(Call& call) {
  const Tensor dy = floats(call.tensor(0));
  const Tensor gate = floats(call.tensor(1));
  const Tensor up = floats(call.tensor(2));
  expect(up.sizes() == gate.sizes() && dy.sizes() == gate.sizes(), "gradient, gate and up of one shape");
  const Tensor ofGate = at::empty_like(gate);
  const Tensor ofUp = at::empty_like(gate);
  const auto* dys = dy.data_ptr<float>();
  const auto* gates = gate.data_ptr<float>();
  const auto* ups = up.data_ptr<float>();
  auto* toGate = ofGate.data_ptr<float>();
  auto* toUp = ofUp.data_ptr<float>();
  const int64_t vectors = gate.numel() / kVector;
  at::parallel_for(0, vectors, kFewVectors, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * kVector;
    geluTimesGradientVectors(dys + at, gates + at, ups + at, (end - begin) * kVector, toGate + at, toUp + at);
  });
  const int64_t done = vectors * kVector;
  if (done < gate.numel())
    geluTimesGradientRest(dys + done, gates + done, ups + done, gate.numel() - done, toGate + done, toUp + done);
  const auto type = call.tensor(1).scalar_type();
  return call.giveAll({ofGate.to(type), ofUp.to(type)});
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
  expect(x.dim() == 2 && head > 0 && head % 2 == 0 && width % head == 0, "rows of heads of the angles' even width");
  expect(cos.numel() == rows * head && sin.numel() == rows * head, "the angles of each row");
  const Tensor y = at::empty_like(x);
  const auto* from = x.data_ptr<float>();
  const auto* cosines = cos.data_ptr<float>();
  const auto* sines = sin.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  at::parallel_for(0, rows, fewRows(width), [&](int64_t begin, int64_t end) {
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
