// TLS and digests.
#ifndef FLOTILLA_COPENSSL_H
#define FLOTILLA_COPENSSL_H
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#endif
