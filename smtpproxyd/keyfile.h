#ifndef KEYFILE_H
#define KEYFILE_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/*
 * Files of private keys and of certificates, as plain octets: who parses them
 * is another process (keycheck, keyholder, worker).
 */

/*
 * A private key's file: a regular one of root or of the caller, at most
 * KEY_FILE_MAX octets, that nobody else may even read.
 *   octets    KEY_FILE_MAX octets, wiped on failure; the caller's to wipe
 *   returns   0 with *len, or -1 with why
 */
int	keyfile_read_key(const char *path, uint8_t *octets, size_t *len,
	    struct conf_why *);

/*
 * A file of certificates: a regular one of root or of the caller, that its
 * owner alone may write, at most max octets.
 *   returns   0 with *octets (malloc'd, the caller's to free, a NUL behind the
 *             last), or -1 with why
 */
int	keyfile_read_cert(const char *path, size_t max, uint8_t **octets,
	    size_t *len, struct conf_why *);

#endif
