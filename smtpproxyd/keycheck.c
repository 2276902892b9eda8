/*
 * Process: keycheck.  Looks at the files of TLS before service starts: they
 * come in pieces, then a question comes, then its answer goes back.  It may be
 * taken over by what it parses; then it can lie about those files, and has the
 * private keys that it was shown, but no socket and no file to bring them to.
 */
#include "keycheck.h"

#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../common/port/tls.h"
#include "../privsep/keyholder.h"
#include "../privsep/proc.h"
#include "messages.h"

struct check_file {
	uint8_t	*data;			/* with a NUL behind it */
	size_t	 len;
};

static struct loop		check_loop;
static struct chan		check_parent;
static struct check_file	files[CHECK_CIPHERS + 1];	/* by kind */

static const size_t		file_max[CHECK_CIPHERS + 1] = {
	[CHECK_CERT] = CONF_BLOB_MAX,
	[CHECK_PAIR] = KEY_FILE_MAX,
	[CHECK_CA] = CONF_BLOB_MAX,
	[CHECK_CIPHERS] = CONF_CIPHERS_MAX - 1
};

static void
files_wipe(void)
{
	size_t	i;

	for (i = 0; i <= CHECK_CIPHERS; i++) {
		freezero(files[i].data, files[i].len);
		files[i].data = NULL;
		files[i].len = 0;
	}
}

static void
check_on_piece(struct chan *ch, struct msg *m)
{
	struct msg_reader	 r;
	struct check_file	*f;
	const uint8_t		*octets;
	uint8_t			*data, kind;
	size_t			 len;

	msg_reader_init(&r, m);
	kind = msg_u8(&r);
	octets = msg_octets(&r, &len);
	if (msg_done(&r) == -1 || kind == CHECK_NONE ||
	    kind > CHECK_CIPHERS || len > file_max[kind] - files[kind].len) {
		chan_violation(ch, m->type, "content");
		return;
	}
	f = &files[kind];
	/* Wipes what it leaves behind. */
	data = recallocarray(f->data, f->data == NULL ? 0 : f->len + 1,
	    f->len + len + 1, 1);
	if (data == NULL)
		fatal("check");
	memcpy(data + f->len, octets, len);
	f->data = data;
	f->len += len;
}

/* What is wrong, NULL: nothing. */
static const char *
check_answer(uint8_t kind, char *why)
{
	const struct check_file	*f = &files[kind], *cert = &files[CHECK_CERT];

	if (f->data == NULL || (kind == CHECK_PAIR && cert->data == NULL))
		return "empty";
	switch (kind) {
	case CHECK_PAIR:
		return port_tls_check_pair(cert->data, cert->len, f->data,
		    f->len, why);
	case CHECK_CA:
		return port_tls_check_ca(f->data, f->len, why);
	default:
		return port_tls_check_ciphers((const char *)f->data, why);
	}
}

static void
check_on_question(struct chan *ch, struct msg *m)
{
	struct msg_reader	 r;
	struct msg_writer	 w;
	const char		*wrong;
	char			 why[TLS_WHY_MAX];
	uint8_t			 kind;

	msg_reader_init(&r, m);
	kind = msg_u8(&r);
	if (msg_done(&r) == -1 || kind < CHECK_PAIR || kind > CHECK_CIPHERS) {
		chan_violation(ch, m->type, "content");
		return;
	}
	wrong = check_answer(kind, why);
	files_wipe();
	msg_start(&w, MSG_CHECKED, m->id);
	msg_put_str(&w, wrong == NULL ? "" : wrong);
	if (chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("CHECKED");
}

static void
check_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	switch (m->type) {
	case MSG_CHECK_PIECE:
		check_on_piece(ch, m);
		break;
	case MSG_CHECK:
		check_on_question(ch, m);
		break;
	case MSG_STOP:
		files_wipe();
		exit(0);
	default:
		chan_violation(ch, m->type, "nobody handles it");
		break;
	}
}

static void
check_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	files_wipe();
	exit(0);
}

_Noreturn void
keycheck_main(int fd)
{
	const char	*what = "";

	proc_child_start(&check_parent, &check_loop, 0, fd, PROC_KEYCHECK);
	if (port_tls_init(&what) == -1)
		fatalx("TLS library: %s", what);
	chan_set_handlers(&check_parent, check_on_msg, check_on_end, NULL);
	proc_child_ready(&check_parent);
	if (loop_run(&check_loop) == -1)
		fatal("poll");
	exit(0);
}
