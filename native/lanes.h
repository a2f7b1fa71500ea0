// Eight float32 numbers at a time, in the vector extension that GCC and Clang share, with the exponentials that our kernels need.
// For functions marked FOR_EACH_PROCESSOR, into which all of these are inlined.
#pragma once

#include <cstdint>
#include <cstring>

// Vectors are handed over between inlined functions only, where no calling convention counts.
#pragma GCC diagnostic ignored "-Wpsabi"

#define INLINED __attribute__((always_inline)) inline

namespace patchbay {

constexpr int64_t kVector = 8;

using Lanes = float __attribute__((vector_size(kVector * sizeof(float))));
using Integers = int32_t __attribute__((vector_size(kVector * sizeof(int32_t))));

INLINED Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

INLINED void store(const Lanes& x, float* to) { std::memcpy(to, &x, sizeof x); }

/// The first `count` lanes; the others are 0.
INLINED Lanes loadSome(const float* from, int64_t count) {
  Lanes x = {};
  std::memcpy(&x, from, count * sizeof(float));
  return x;
}

INLINED void storeSome(const Lanes& x, int64_t count, float* to) { std::memcpy(to, &x, count * sizeof(float)); }

INLINED float sumOf(const Lanes& x) {
  using Half = float __attribute__((vector_size(kVector / 2 * sizeof(float))));
  Half halves[2];
  std::memcpy(halves, &x, sizeof x);
  const Half sums = halves[0] + halves[1];
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

/// Each lane of `yes` or `no`.
INLINED Lanes choose(const Integers& condition, const Lanes& yes, const Lanes& no) {
  return reinterpret_cast<Lanes>((condition & reinterpret_cast<Integers>(yes)) | (~condition & reinterpret_cast<Integers>(no)));
}

/// `e^x` for x up to 88, within 2 units in the last place; below -87 exactly 0. What is not a number stays so.
/// Source: Cephes Mathematical Library, expf.
INLINED Lanes exponential(const Lanes& x) {
  const Lanes least = Lanes{} - 87.0f;
  const Integers vanishes = x < least;
  const Lanes y = choose(vanishes, least, x);
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
  const Lanes shifted = y * 1.44269504088896341f + 12582912.0f;
  const Lanes n = shifted - 12582912.0f;
  const Lanes r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
  Lanes series = r * 1.9875691500e-4f + 1.3981999507e-3f;
  series = series * r + 8.3334519073e-3f;
  series = series * r + 4.1665795894e-2f;
  series = series * r + 1.6666665459e-1f;
  series = series * r + 5.0000001201e-1f;
  series = series * (r * r) + r + 1.0f;
  const Integers power = (reinterpret_cast<Integers>(shifted) + 127) << 23;
  return choose(vanishes, Lanes{}, series * reinterpret_cast<Lanes>(power));
}

/// `tanh(x)`, within 2 units in the last place. Source: Cephes Mathematical Library, tanhf.
INLINED Lanes tangent(const Lanes& x) {
  const Integers sign = reinterpret_cast<Integers>(x) & INT32_MIN;
  const Lanes size = reinterpret_cast<Lanes>(reinterpret_cast<Integers>(x) & INT32_MAX);
  const Lanes most = Lanes{} + 20.0f;
  const Lanes far = 1.0f - 2.0f / (exponential(2.0f * choose(size > most, most, size)) + 1.0f);
  const Lanes z = x * x;
  Lanes series = z * -5.70498872745e-3f + 2.06390887954e-2f;
  series = series * z - 5.37397155531e-2f;
  series = series * z + 1.33314422036e-1f;
  series = series * z - 3.33332819422e-1f;
  const Lanes near = series * z * x + x;
  const Lanes signedFar = reinterpret_cast<Lanes>(reinterpret_cast<Integers>(far) | sign);
  return choose(size < Lanes{} + 0.625f, near, signedFar);
}

}  // namespace patchbay
