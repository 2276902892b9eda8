#ifndef PARENT_LOAD_H
#define PARENT_LOAD_H

#include "conf.h"

/*
 * The configuration as the parent loads it: names go to the resolver child,
 * certificates and keys to keycheck, files are read as octets.  What is wrong
 * is said on standard error.  The path is that of our own binary.
 *   returns   NULL when there was an error
 */
struct conf	*parent_load(const char *file, const char *self_path);

#endif
