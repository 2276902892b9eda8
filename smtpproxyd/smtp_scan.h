#ifndef SMTP_SCAN_H
#define SMTP_SCAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * The hot loop of message content.  Finds the first octet that smtp_data has
 * to look at for itself:
 *   - a CR with no LF behind it, the last octet of the input included, since
 *     what follows that one is not known yet
 *   - a LF with no CR before it, a NUL
 *   - with find_dots, a dot at the start of a line
 * at_start says that the input begins a line; an input that begins behind a
 * CR is not given here.
 *   returns   its place, or len when there is none
 */
size_t	smtp_scan(const uint8_t *, size_t len, int at_start, int find_dots);

/* The same for machines without SSE2, and for the tests to compare with. */
size_t	smtp_scan_portable(const uint8_t *, size_t len, int at_start,
	    int find_dots);

#endif
