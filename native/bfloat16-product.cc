// libtorch gives the product of bfloat16 matrices as bfloat16: factors and result would each take a pass of their own to cast. Here float32
// rows go in and come out. The weights are packed block by block into the pairs that the instruction takes, `[pair of k][column]`, and
// serve all rows from the innermost cache; while they do, the next block comes from memory.
#include "bfloat16-product.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(PATCHBAY_ANY_PROCESSOR)
#include <ATen/Parallel.h>
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

// GCC's own headers start from values that they leave open.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define BFLOAT16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"), optimize("O3")))

namespace patchbay {
namespace {

using at::Tensor;

constexpr int64_t kVector = 16;
/// Vectors of columns that are summed at once.
constexpr int64_t kVectors = 4;
constexpr int64_t kColumns = kVectors * kVector;
/// Rows that are summed at once: with the vectors above, sums and factors fill the registers.
constexpr int64_t kRows = 6;
/// Rows of the weights in a block: the packed block stays in the innermost cache.
constexpr int64_t kDepth = 256;
/// Rows of the result that make up for packing a block.
constexpr int64_t kFewRows = 192;
/// Numbers of the left factor that stay in a cache.
constexpr int64_t kCached = int64_t{1} << 20;
/// Bfloat16 numbers of a cache line.
constexpr int64_t kLine = 32;

bool hasInstruction() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool matrices = (d >> 22 & 1) != 0;  // AMX-BF16
  if (matrices || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  return (a >> 5 & 1) != 0 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

BFLOAT16 void roundRow(const float* x, int64_t size, uint16_t* y) {
  for (int64_t i = 0; i < size; i += kVector) {
    const auto mask = static_cast<__mmask16>(size - i >= kVector ? 0xffff : (1U << (size - i)) - 1);
    const __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_setzero_ps(), _mm512_maskz_loadu_ps(mask, x + i));
    _mm256_mask_storeu_epi16(y + i, mask, _mm512_castsi512_si256(reinterpret_cast<__m512i>(pairs)));
  }
}

/// A matrix of weights `[k, n]`, which is contiguous along one of the two.
struct Weights {
  const uint16_t* start;
  int64_t k;
  int64_t n;
  int64_t stride;
  bool alongK;
  const uint16_t* at(int64_t row, int64_t column) const {
    return start + (alongK ? column * stride + row : row * stride + column);
  }
};

/// A block of them: some rows and at most kColumns columns.
struct Block {
  int64_t row;
  int64_t column;
  int64_t depth;
  int64_t width;
};

Block blockAt(const Weights& w, int64_t row, int64_t column) {
  return {row, column, std::min(kDepth, w.k - row), std::min(kColumns, w.n - column)};
}

/// Transposes 16 columns of 16 pairs, which lie pair after pair.
BFLOAT16 void packSixteen(const uint16_t* from, int64_t stride, uint32_t* to) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(from + i * stride);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (int i = 0; i < 4; i++)
    for (int half = 0; half < 16; half += 8) {
      b[half + i] = _mm512_shuffle_i32x4(a[half + i], a[half + i + 4], 0x88);
      b[half + i + 4] = _mm512_shuffle_i32x4(a[half + i], a[half + i + 4], 0xdd);
    }
  for (int i = 0; i < 8; i++) {
    _mm512_storeu_si512(to + i * kColumns, _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88));
    _mm512_storeu_si512(to + (i + 8) * kColumns, _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd));
  }
}

/// Interleaves two rows of 32 columns.
BFLOAT16 void packTwoRows(const uint16_t* even, const uint16_t* odd, uint32_t* to) {
  const __m512i order =
      _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3,
                       34, 2, 33, 1, 32, 0);
  const __m512i a = _mm512_loadu_si512(even);
  const __m512i b = _mm512_loadu_si512(odd);
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, order, b));
  const __m512i later = _mm512_add_epi16(order, _mm512_set1_epi16(kVector));
  _mm512_storeu_si512(to + kVector, _mm512_permutex2var_epi16(a, later, b));
}

/// Pairs from `pair` on, one number at a time; zeros beyond the block.
void packRest(const Weights& w, const Block& block, int64_t pair, uint32_t* to) {
  for (; 2 * pair < block.depth; pair++)
    for (int64_t c = 0; c < kColumns; c++) {
      const auto number = [&](int64_t row) -> uint32_t {
        return c < block.width && row < block.depth ? *w.at(block.row + row, block.column + c) : 0;
      };
      to[pair * kColumns + c] = number(2 * pair) | number(2 * pair + 1) << 16;
    }
}

BFLOAT16 void pack(const Weights& w, const Block& block, uint32_t* to) {
  int64_t pair = 0;
  if (block.width == kColumns && w.alongK)
    for (; 2 * pair + 2 * kVector <= block.depth; pair += kVector)
      for (int64_t c = 0; c < kColumns; c += kVector)
        packSixteen(w.at(block.row + 2 * pair, block.column + c), w.stride, to + pair * kColumns + c);
  else if (block.width == kColumns)
    for (; 2 * pair + 2 <= block.depth; pair++)
      for (int64_t c = 0; c < kColumns; c += 2 * kVector)
        packTwoRows(w.at(block.row + 2 * pair, block.column + c), w.at(block.row + 2 * pair + 1, block.column + c),
                    to + pair * kColumns + c);
  packRest(w, block, pair, to);
}

/// Takes the cache lines of a block from memory, some with each call.
class Fetch {
 public:
  Fetch(const Weights& w, const Block& block, int64_t calls) : stride_(w.stride) {
    if (block.width <= 0) return;
    start_ = w.at(block.row, block.column);
    lines_ = ((w.alongK ? block.depth : block.width) + kLine - 1) / kLine;
    end_ = lines_ * (w.alongK ? block.width : block.depth);
    step_ = (end_ + calls - 1) / calls;
  }
  void some() {
    for (const int64_t stop = std::min(end_, next_ + step_); next_ < stop; next_++)
      __builtin_prefetch(start_ + next_ / lines_ * stride_ + next_ % lines_ * kLine, 0, 2);
  }

 private:
  const uint16_t* start_ = nullptr;
  int64_t stride_;
  int64_t lines_ = 1;
  int64_t end_ = 0;
  int64_t step_ = 0;
  int64_t next_ = 0;
};

/// Rows of the left factor, in as many numbers as a block of weights has, and of the result.
struct Rows {
  const uint16_t* x;
  int64_t xStride;
  float* y;
  int64_t yStride;
};

/// Adds the products of `count` rows with a packed block; the first block of a column starts from 0.
template <int count>
BFLOAT16 void addProducts(const Rows& rows, const uint32_t* packed, const Block& block) {
  __m512 sums[count][kVectors];
  __mmask16 mask[kVectors];
  for (int v = 0; v < kVectors; v++) {
    const int64_t left = std::clamp(block.width - v * kVector, int64_t{0}, kVector);
    mask[v] = static_cast<__mmask16>((1U << left) - 1);
    for (int r = 0; r < count; r++)
      sums[r][v] = block.row == 0 ? _mm512_setzero_ps()
                                  : _mm512_maskz_loadu_ps(mask[v], rows.y + r * rows.yStride + v * kVector);
  }
  for (int64_t pair = 0; 2 * pair < block.depth; pair++) {
    __m512bh weights[kVectors];
    for (int v = 0; v < kVectors; v++)
      weights[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(packed + pair * kColumns + v * kVector));
    for (int r = 0; r < count; r++) {
      int32_t two;
      std::memcpy(&two, rows.x + r * rows.xStride + 2 * pair, sizeof two);
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
      for (int v = 0; v < kVectors; v++) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, weights[v]);
    }
  }
  for (int r = 0; r < count; r++)
    for (int v = 0; v < kVectors; v++)
      _mm512_mask_storeu_ps(rows.y + r * rows.yStride + v * kVector, mask[v], sums[r][v]);
}

using AddProducts = void (*)(const Rows&, const uint32_t*, const Block&);
constexpr AddProducts kAddProducts[kRows] = {addProducts<1>, addProducts<2>, addProducts<3>,
                                             addProducts<4>, addProducts<5>, addProducts<6>};

/// The left factor in bfloat16, cut as the weights are: `[block][row][number]`, so that a block's rows lie one after the other.
struct Left {
  const uint16_t* start;
  int64_t rows;
  int64_t stride;
  const uint16_t* at(int64_t depth, int64_t row) const { return start + (depth / kDepth * rows + row) * stride; }
};

/// Rounds rows. What is beyond the end of an odd row is 0.
Tensor rounded(const Tensor& a, Left& left) {
  const int64_t size = a.size(1);
  const int64_t blocks = (size + kDepth - 1) / kDepth;
  left.rows = a.size(0);
  left.stride = std::min(kDepth, size + size % 2);
  const Tensor x = at::empty({blocks, left.rows, left.stride}, at::kBFloat16);
  auto* start = static_cast<uint16_t*>(x.data_ptr());
  left.start = start;
  const auto* from = a.data_ptr<float>();
  at::parallel_for(0, left.rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t depth = 0; depth < size; depth += kDepth)
      for (int64_t r = begin; r < end; r++) {
        const int64_t part = std::min(kDepth, size - depth);
        uint16_t* to = start + (left.at(depth, r) - start);
        roundRow(from + r * size + depth, part, to);
        if (part % 2 != 0) to[part] = 0;
      }
  });
  return x;
}

/// Rows from `first` on, `count` of them, of the result's columns from `column` on, at most kColumns.
void multiplyColumns(const Left& left, const Weights& w, int64_t first, int64_t count, int64_t column, float* y) {
  alignas(64) uint32_t packed[kDepth / 2 * kColumns];
  for (int64_t row = 0; row < w.k; row += kDepth) {
    const Block block = blockAt(w, row, column);
    pack(w, block, packed);
    const bool last = row + kDepth >= w.k;
    Fetch next(w, blockAt(w, last ? 0 : row + kDepth, last ? column + kColumns : column), (count + kRows - 1) / kRows);
    for (int64_t r = first; r < first + count; r += kRows) {
      next.some();
      const Rows rows{left.at(row, r), left.stride, y + r * w.n + column, w.n};
      kAddProducts[std::min(kRows, first + count - r) - 1](rows, packed, block);
    }
  }
}

/// Rows that a thread multiplies at a time: so many as stay in a cache, but enough to be worth packing the weights for; fewer, where there would not be work for all threads.
int64_t rowsAtATime(int64_t rows, int64_t depth, int64_t panels) {
  const int64_t most = std::max(kCached / depth, kFewRows);
  const int64_t wanted = (4 * at::get_num_threads() + panels - 1) / panels;
  const int64_t parts = std::max((rows + most - 1) / most, std::min(wanted, rows / (8 * kRows)));
  const int64_t each = (rows + parts - 1) / parts;
  return (each + kRows - 1) / kRows * kRows;
}

}  // namespace

bool suitsTimesBfloat16(const Tensor& a, const Tensor& b) {
  static const bool can = hasInstruction();
  return can && a.dim() == 2 && b.dim() == 2 && a.size(1) == b.size(0) && a.is_cpu() && a.scalar_type() == at::kFloat &&
         b.scalar_type() == at::kBFloat16 && a.numel() > 0 && b.numel() > 0 && (b.stride(0) == 1 || b.stride(1) == 1);
}

at::Tensor timesBfloat16(const Tensor& a, const Tensor& b) {
  Left left{};
  const Tensor x = rounded(a.contiguous(), left);
  const bool alongK = b.stride(1) != 1;
  const Weights w{static_cast<const uint16_t*>(b.data_ptr()), b.size(0), b.size(1), b.stride(alongK ? 1 : 0), alongK};
  const Tensor y = at::empty({left.rows, w.n}, at::kFloat);
  auto* start = y.data_ptr<float>();
  const int64_t panels = (w.n + kColumns - 1) / kColumns;
  const int64_t each = rowsAtATime(left.rows, w.k, panels);
  const int64_t parts = (left.rows + each - 1) / each;
  at::parallel_for(0, panels * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t first = i / panels * each;
      multiplyColumns(left, w, first, std::min(each, left.rows - first), i % panels * kColumns, start);
    }
  });
  return y;
}

}  // namespace patchbay

#else

namespace patchbay {

bool suitsTimesBfloat16(const at::Tensor&, const at::Tensor&) { return false; }
at::Tensor timesBfloat16(const at::Tensor& a, const at::Tensor& b) { return at::matmul(a, b); }

}  // namespace patchbay

#endif
