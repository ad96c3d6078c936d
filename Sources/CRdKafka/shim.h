#ifndef FLOTILLA_CRDKAFKA_H
#define FLOTILLA_CRDKAFKA_H
#include <librdkafka/rdkafka.h>
// The in-process cluster that the tests of the Swift face run against.
#include <librdkafka/rdkafka_mock.h>
#endif
