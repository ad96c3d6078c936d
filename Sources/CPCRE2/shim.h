// Patterns with a limit on how long they may look.
#ifndef FLOTILLA_CPCRE2_H
#define FLOTILLA_CPCRE2_H
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif
