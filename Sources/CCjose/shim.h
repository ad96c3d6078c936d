// Signed JSON (RFC 7515) on OpenSSL: here only to read keys and to verify.
#ifndef FLOTILLA_CCJOSE_H
#define FLOTILLA_CCJOSE_H
#include <cjose/cjose.h>
#endif
