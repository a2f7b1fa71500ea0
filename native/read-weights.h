// Reads an array of a file into a tensor; safe on any thread.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace patchbay {

/// Where an array's bytes lie, row-major and little-endian, and what is wanted of them.
struct StoredArray {
  std::string path;
  int64_t start;
  std::vector<int64_t> shape;
  /// float32 or bfloat16, both.
  at::ScalarType stored;
  at::ScalarType wanted;
  /// The checksum covers the bytes from here to the array's end; -1: there is none.
  int64_t checked_from;
  uint32_t crc32;
};

/// The file holds other bytes than it should.
struct Damaged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A value that is NaN or infinite.
struct NonFinite : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The array in memory. One that is stored as it is wanted, without a checksum, is mapped: the file's pages are the tensor's memory.
at::Tensor readWeights(const StoredArray& array);

}  // namespace patchbay
