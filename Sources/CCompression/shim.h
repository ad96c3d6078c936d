#ifndef FLOTILLA_CCOMPRESSION_H
#define FLOTILLA_CCOMPRESSION_H
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#endif
