// Redis' C client: here only to format commands and to read replies; the socket is ours.
#ifndef FLOTILLA_CHIREDIS_H
#define FLOTILLA_CHIREDIS_H
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#endif
