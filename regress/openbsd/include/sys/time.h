#ifndef OPENBSD_SYS_TIME_H
#define OPENBSD_SYS_TIME_H

#include <sys/types.h>
#include <time.h>

#endif
