#ifndef FLOTILLA_CRDKAFKA_H
#define FLOTILLA_CRDKAFKA_H
#include <librdkafka/rdkafka.h>
#endif
