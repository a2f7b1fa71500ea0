// Weights mapped from their files: the pages of the file are the tensor's memory, so there is no second copy.
#include "call.h"
#include "device.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace patchbay {
namespace {

/// A range of a file in memory, unmapped with its last user.
struct Mapping {
  void* start;
  size_t length;
};

Mapping mapFile(const std::string& path, int64_t from, size_t bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::invalid_argument(path + ": " + std::strerror(errno));
  struct stat status;
  // A page past the end of a file cannot be read: the process would be killed.
  if (fstat(file, &status) != 0 || status.st_size < from + static_cast<int64_t>(bytes)) {
    close(file);
    throw std::invalid_argument(path + ": expected at least " + std::to_string(from + bytes) + " bytes");
  }
  void* start = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, from);
  const int failure = errno;
  close(file);
  if (start == MAP_FAILED) throw std::invalid_argument(path + ": " + std::strerror(failure));
  return {start, bytes};
}

/// map(path, offset, dtype, ...shape): a tensor whose memory is the file; on a GPU, a copy of it there.
napi_value map(Call& call) {
  const int64_t offset = call.integer(1);
  const at::ScalarType type = typeOf(call.integer(2));
  const std::vector<int64_t> shape = call.integersFrom(3);
  size_t bytes = at::elementSize(type);
  for (const int64_t length : shape) bytes *= static_cast<size_t>(length);
  if (bytes == 0) return call.give(at::empty(shape, at::TensorOptions().dtype(type)).to(device()));
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t before = offset % page;
  const Mapping mapping = mapFile(call.text(0), offset - before, bytes + static_cast<size_t>(before));
  void* values = static_cast<char*>(mapping.start) + before;
  const auto release = [mapping](void*) { munmap(mapping.start, mapping.length); };
  return call.give(at::from_blob(values, shape, release, at::TensorOptions().dtype(type)).to(device()));
}

template <typename Bits>
int64_t firstWithout(const Bits* bits, int64_t count, Bits exponent) {
  for (int64_t i = 0; i < count; i++)
    if ((bits[i] & exponent) == exponent) return i;
  return -1;
}

/// nonFinite(x): index of the first NaN or infinity of a float32 or bfloat16 tensor, or -1.
napi_value nonFinite(Call& call) {
  const at::Tensor x = call.tensor(0).to(at::kCPU).contiguous();
  const void* start = x.data_ptr();
  const int64_t found = x.scalar_type() == at::kBFloat16
                            ? firstWithout<uint16_t>(static_cast<const uint16_t*>(start), x.numel(), 0x7f80)
                            : firstWithout<uint32_t>(static_cast<const uint32_t*>(start), x.numel(), 0x7f800000);
  return call.giveNumber(static_cast<double>(found));
}

const Entry kEntries[] = {{"map", map}, {"nonFinite", nonFinite}};

}  // namespace

void defineWeights(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
