// Loops that compilers turn into vector code, compiled for several processors; the right one is chosen when the module loads.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default"), optimize("O3")))
#else
#define FOR_EACH_PROCESSOR
#endif
