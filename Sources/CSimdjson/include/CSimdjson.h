// simdjson's DOM behind plain C: C++ stays in this target.
#ifndef FLOTILLA_CSIMDJSON_H
#define FLOTILLA_CSIMDJSON_H
#include <stddef.h>
#include <stdint.h>

#endif
