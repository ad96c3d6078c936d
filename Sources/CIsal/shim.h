// Intel's storage library: here for its CRC-32C, which runs at memory speed on every machine it knows.
#ifndef FLOTILLA_CISAL_H
#define FLOTILLA_CISAL_H
#include <stdint.h>
#include <stddef.h>
#include <isa-l/crc.h>

/// CRC-32C of `length` bytes, as Kafka's record batches carry it. `previous` is 0 at the start.
static inline uint32_t flotilla_crc32c(const void *bytes, size_t length, uint32_t previous) {
    uint32_t crc = ~previous;
    const unsigned char *at = (const unsigned char *)bytes;
    while (length > 0) {  // the library counts in int
        int step = length > (1u << 30) ? (1 << 30) : (int)length;
        crc = crc32_iscsi((unsigned char *)at, step, crc);
        at += step;
        length -= (size_t)step;
    }
    return ~crc;
}
#endif
