#ifndef KEYHOLDER_H
#define KEYHOLDER_H

/*
 * Process: keyholder.  The only one that has private keys.  It gets them from
 * the parent while it is set up (MSG_KEY), then signs TLS handshakes for
 * workers (MSG_SIGN), each by the keys that the parent allowed it
 * (MSG_KEY_ALLOW).  What is not the handshake of a TLS server it refuses
 * (DECISIONS, keyholder): an answer of length 0, counted and logged.
 */
#define KEYHOLDER_USER	"_smtpproxyk"
#define KEY_FILE_MAX	8000		/* octets of a private key's file */
#define KEYS_MAX	256

_Noreturn void	keyholder_main(int fd);

#endif
