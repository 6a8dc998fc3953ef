#ifndef HOPSEAL_FUZZ_H
#define HOPSEAL_FUZZ_H

/* The one function of a fuzz target, by the name that libFuzzer calls. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
