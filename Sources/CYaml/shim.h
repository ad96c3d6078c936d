// The YAML parser that names the line of everything.
#ifndef FLOTILLA_CYAML_H
#define FLOTILLA_CYAML_H
#include <yaml.h>
#endif
