// Memory of tensors on the CPU: counted, and kept for reuse, because fresh pages cost more than most kernels.
#pragma once

#include <cstddef>

namespace patchbay {

/// Bytes of live tensors, the most there have been, and bytes kept for reuse.
struct MemoryCounts {
  size_t live;
  size_t peak;
  size_t kept;
};

/// Makes every CPU tensor from now on use the counting allocator; call once, before the first tensor.
void installAllocator();
MemoryCounts memoryCounts();
/// Live bytes above which an allocation fails as out of memory; 0 is no limit.
void setMemoryLimit(size_t bytes);

}  // namespace patchbay
