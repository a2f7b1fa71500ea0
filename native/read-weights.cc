#include "read-weights.h"

#include "processors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

namespace patchbay {
namespace {

/// Bytes that are read, checked and widened together: they stay in a processor's cache.
constexpr size_t kPiece = size_t{1} << 20;
constexpr size_t kSlices = 8;

using CrcTables = std::array<std::array<uint32_t, 256>, kSlices>;

CrcTables makeCrcTables() {
  CrcTables tables;
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
    tables[0][byte] = crc;
  }
  for (size_t slice = 1; slice < kSlices; slice++)
    for (uint32_t byte = 0; byte < 256; byte++)
      tables[slice][byte] = (tables[slice - 1][byte] >> 8) ^ tables[0][tables[slice - 1][byte] & 0xff];
  return tables;
}

/// Zip's CRC-32, eight bytes at a time. Source: Kounavis and Berry, "A systematic approach to building high performance
/// software-based CRC generators" (2005), slicing-by-8.
uint32_t crc32Of(uint32_t crc, const unsigned char* bytes, size_t count) {
  static const CrcTables tables = makeCrcTables();
  crc = ~crc;
  for (; count >= kSlices; count -= kSlices, bytes += kSlices) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    word ^= crc;
    crc = 0;
    for (size_t slice = 0; slice < kSlices; slice++) crc ^= tables[kSlices - 1 - slice][(word >> (8 * slice)) & 0xff];
  }
  for (; count > 0; count--, bytes++) crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xff];
  return ~crc;
}

FOR_EACH_PROCESSOR bool allFinite32(const uint32_t* bits, size_t count) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; i++) found |= (bits[i] & 0x7f800000u) == 0x7f800000u;
  return found == 0;
}

FOR_EACH_PROCESSOR bool allFinite16(const uint16_t* bits, size_t count) {
  uint16_t found = 0;
  for (size_t i = 0; i < count; i++) found |= (bits[i] & 0x7f80u) == 0x7f80u;
  return found == 0;
}

FOR_EACH_PROCESSOR void widen(const uint16_t* from, uint32_t* to, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = static_cast<uint32_t>(from[i]) << 16;
}

/// @throws NonFinite for values that begin at element `first` of the array.
void checkFinite(const void* values, at::ScalarType type, size_t count, size_t first) {
  const auto* wide = static_cast<const uint32_t*>(values);
  const auto* narrow = static_cast<const uint16_t*>(values);
  const bool is_wide = type == at::kFloat;
  if (is_wide ? allFinite32(wide, count) : allFinite16(narrow, count)) return;
  size_t at = 0;
  while (is_wide ? (wide[at] & 0x7f800000u) != 0x7f800000u : (narrow[at] & 0x7f80u) != 0x7f80u) at++;
  throw NonFinite("expected finite weights, got NaN or infinity at element " + std::to_string(first + at) +
                  "; the file is damaged");
}

/// What a system call complains of. Want of memory is no fault of the file's.
[[noreturn]] void refuse() {
  if (errno == ENOMEM) throw std::bad_alloc();
  throw Damaged(std::strerror(errno));
}

/// An open file of known size.
class File {
 public:
  explicit File(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) refuse();
  }
  ~File() { close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int number() const { return file_; }

  /// A page past the end of a file cannot be read: the process would be killed.
  void expectSize(int64_t bytes) const {
    struct stat status;
    if (fstat(file_, &status) != 0 || status.st_size < bytes)
      throw Damaged("cut short: expected at least " + std::to_string(bytes) + " bytes");
  }

  void read(void* to, size_t count, int64_t from) const {
    auto* place = static_cast<char*>(to);
    while (count > 0) {
      const ssize_t got = pread(file_, place, count, from);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse();
      if (got == 0) throw Damaged("cut short: it ends at byte " + std::to_string(from));
      place += got;
      from += got;
      count -= static_cast<size_t>(got);
    }
  }

 private:
  int file_;
};

at::Tensor mapped(const File& file, const StoredArray& array, size_t bytes) {
  const int64_t before = array.start % sysconf(_SC_PAGESIZE);
  const size_t length = bytes + static_cast<size_t>(before);
  void* start = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file.number(), array.start - before);
  if (start == MAP_FAILED) refuse();
  const auto release = [start, length](void*) { munmap(start, length); };
  void* values = static_cast<char*>(start) + before;
  at::Tensor tensor = at::from_blob(values, array.shape, release, at::TensorOptions().dtype(array.stored));
  madvise(start, length, MADV_WILLNEED);
  const size_t width = at::elementSize(array.stored);
  // Looking at every value also brings the pages in, so that products need not wait for the disk.
  for (size_t at = 0; at < bytes; at += kPiece)
    checkFinite(static_cast<char*>(values) + at, array.stored, std::min(kPiece, bytes - at) / width, at / width);
  return tensor;
}

void convert(const void* from, at::ScalarType stored, void* to, at::ScalarType wanted, size_t count) {
  if (stored == wanted) {
    std::memcpy(to, from, count * at::elementSize(stored));
  } else if (stored == at::kBFloat16) {
    widen(static_cast<const uint16_t*>(from), static_cast<uint32_t*>(to), count);
  } else {
    const auto* wide = static_cast<const float*>(from);
    auto* narrow = static_cast<at::BFloat16*>(to);
    for (size_t i = 0; i < count; i++) narrow[i] = static_cast<at::BFloat16>(wide[i]);
  }
}

/// CRC-32 of what a checksum covers before the array itself.
uint32_t crc32Before(const File& file, const StoredArray& array) {
  std::vector<unsigned char> bytes(static_cast<size_t>(array.start - array.checked_from));
  file.read(bytes.data(), bytes.size(), array.checked_from);
  return crc32Of(0, bytes.data(), bytes.size());
}

at::Tensor copied(const File& file, const StoredArray& array, size_t bytes) {
  at::Tensor tensor = at::empty(array.shape, at::TensorOptions().dtype(array.wanted));
  const bool checked = array.checked_from >= 0;
  uint32_t crc = checked ? crc32Before(file, array) : 0;
  const size_t width = at::elementSize(array.stored);
  const std::unique_ptr<char[]> piece(new char[kPiece]);
  auto* to = static_cast<char*>(tensor.data_ptr());
  for (size_t at = 0; at < bytes; at += kPiece) {
    const size_t length = std::min(kPiece, bytes - at);
    file.read(piece.get(), length, array.start + static_cast<int64_t>(at));
    if (checked) crc = crc32Of(crc, reinterpret_cast<unsigned char*>(piece.get()), length);
    checkFinite(piece.get(), array.stored, length / width, at / width);
    convert(piece.get(), array.stored, to, array.wanted, length / width);
    to += length / width * at::elementSize(array.wanted);
  }
  if (checked && crc != array.crc32)
    throw Damaged("damaged: its checksum differs from the archive's; copy or download it again");
  return tensor;
}

}  // namespace

at::Tensor readWeights(const StoredArray& array) {
  size_t bytes = at::elementSize(array.stored);
  for (const int64_t length : array.shape) bytes *= static_cast<size_t>(length);
  const File file(array.path);
  file.expectSize(array.start + static_cast<int64_t>(bytes));
  const bool aligned = array.start % static_cast<int64_t>(at::elementSize(array.stored)) == 0;
  const bool as_it_is = bytes > 0 && array.stored == array.wanted && array.checked_from < 0 && aligned;
  return as_it_is ? mapped(file, array, bytes) : copied(file, array, bytes);
}

}  // namespace patchbay
