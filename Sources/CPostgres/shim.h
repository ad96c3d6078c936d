// Postgres' own client.
#ifndef FLOTILLA_CPOSTGRES_H
#define FLOTILLA_CPOSTGRES_H
#include <libpq-fe.h>
#endif
