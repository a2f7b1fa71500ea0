// Loops that compilers turn into vector code, compiled for several processors; the right one is chosen when the module loads, by the
// instructions that the processor has. (`arch=` with a processor's name would be chosen on processors of that very name alone.)
// PATCHBAY_ANY_PROCESSOR leaves all but the plainest out, so that they can be tested where better ones would be taken.
#pragma once

#if defined(PATCHBAY_ANY_PROCESSOR) || !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__)
#define FOR_EACH_PROCESSOR
#elif __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#endif
