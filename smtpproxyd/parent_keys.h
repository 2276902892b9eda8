#ifndef PARENT_KEYS_H
#define PARENT_KEYS_H

#include "../privsep/proc.h"
#include "conf.h"

/*
 * The parent's part in TLS, where the configuration has a pki: it starts the
 * keyholder, reads the files of keys for it, again whenever it is replaced, and
 * says which worker may use which; it makes the keys of session tickets for
 * all workers.  Without a pki nothing of this happens.
 *
 * A worker gets MSG_TICKET_KEYS once in its set-up, behind what
 * parent_keys_on_setup() is called after, and then with each rotation.
 */
#define PARENT_KEYS_ROTATE_MS	(12 * 3600 * 1000)

/*
 * Look the keyholder's user up, before files can't be opened any more, and put
 * it into the identity.  fatalx() where there is none, or it is no other than
 * the configuration's.
 */
void	parent_keys_identity(const struct conf *, struct proc_identity *);

/*
 * The loop and conf are borrowed.  Start the keyholder and the rotation;
 * fatal() when that fails.
 */
void	parent_keys_start(struct loop *, const struct conf *);
/* Wipe and forget all, at the end. */
void	parent_keys_clear(void);

/* For proc_ops: of a worker, behind its configuration, and the keyholder. */
void	parent_keys_on_setup(struct proc_child *);
void	parent_keys_on_gone(struct proc_child *);

#endif
