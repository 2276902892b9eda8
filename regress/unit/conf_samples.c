/*
 * Valid configurations and what the tests of the configuration share.  Linked
 * into every unit test.
 */
#include "conf_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/conf_load.h"

const char *const	conf_samples[] = {
	/* The smallest one: kept working for ever (DESIGN section 4). */
	"relay \"r\" {\n"
	"\tlisten on 127.0.0.1 port 2525\n"
	"\tforward to 127.0.0.1 port 2526\n"
	"}\n",

	/* No last newline, and the brace behind the last line. */
	"relay r { listen on ::1 port 1\n"
	"forward to mx.example.org port 65535 }",

	/* Its brace on a line of its own. */
	"relay r\n\n{\nlisten on ::1 port smtp\nforward to mx.example.net port "
	"submission\n}",

	"ext = \"192.0.2.25\"\n"
	"workers 4\n"
	"user _smtpproxyd\n"
	"hostname \"gw.example.org\"\n"
	"chroot \"/var/empty\"\n"
	"table <mx> { 198.51.100.10 198.51.100.11 }\n"
	"relay \"inbound\" {\n"
	"\tlisten on $ext port 25\n"
	"\tforward to <mx> port 25\n"
	"}\n",

	/* TLS in each place, and who the client is told to be. */
	"pki mail.example.org cert \"/etc/ssl/mail.crt\"\n"
	"pki mail.example.org key \"/etc/ssl/mail.key\"\n"
	"pki b key /b.key\n"
	"tls-protocols { TLSv1.2 TLSv1.3 }\n"
	"timeout tls 20\n"
	"table <lb> { 192.0.2.1 2001:db8::/32 }\n"
	"relay in {\n"
	"\tlisten on 127.0.0.1 port 25 tls pki mail.example.org\n"
	"\tlisten on 127.0.0.1 port 26 tls verify pki b ca \"/ca1\"\n"
	"\tlisten on 127.0.0.1 port 27 tls-require pki b \\\n"
	"\t    pki mail.example.org\n"
	"\tlisten on 127.0.0.1 port 28 tls-require verify pki b ca /ca2\n"
	"\tlisten on 127.0.0.1 port 29 divert smtps pki b\n"
	"\tlisten on 127.0.0.1 port 30 smtps verify pki b ca /ca1\n"
	"\tlisten on 127.0.0.1 port 31 smtps tls-require pki b \\\n"
	"\t    proxy-protocol from <lb>\n"
	"\tlisten on 127.0.0.1 port 32 smtps tls-require verify pki b ca /b\n"
	"\tlisten on 127.0.0.1 port 33 proxy-protocol from <lb> others plain\n"
	"\tforward to 10.0.0.1 port 25 tls\n"
	"\tforward to { 10.0.0.2 10.0.0.3 } port 25 tls\n"
	"\tidentity proxy-v2\n"
	"\tadd-header trace\n"
	"\tstarttls hide\n"
	"\ttls-protocols { TLSv1.3 }\n"
	"}\n"
	"relay cf { listen on ::1 port 10\n"
	"forward to 10.0.0.1 port 25 tls ca /ca3\nidentity xclient\n"
	"tls-ciphers ECDHE-RSA-AES128-GCM-SHA256\n"
	"tls-protocols { TLSv1.2 } }\n"
	"relay nv { listen on ::1 port 11\n"
	"forward to 10.0.0.1 port 25 tls no-verify\nidentity xforward }\n"
	"relay op { listen on ::1 port 12\n"
	"forward to 10.0.0.1 port 25 tls opportunistic\nidentity proxy-v1 }\n"
	"relay s { listen on ::1 port 13\n"
	"transparent forward to 10.0.0.1 port 465 smtps }\n"
	"relay sn { listen on ::1 port 14\n"
	"forward to 10.0.0.1 port 465 smtps no-verify }\n"
	"relay sc { listen on ::1 port 15\n"
	"forward to 10.0.0.1 port 465 smtps ca /ca1 }\n"
	"relay t { listen on ::1 port 16\ntransparent forward to nat lookup\n"
	"starttls terminate pki b\nadd-header trace }\n"
	"relay tn { listen on ::1 port 17 divert\nforward to destination\n"
	"starttls terminate pki mail.example.org pki b no-verify }\n"
	"relay tc { listen on ::1 port 18\nforward to nat lookup\n"
	"starttls terminate pki b ca /ca1 }\n"
	"tls-ciphers \"ECDHE+AESGCM:!aNULL\"\n"
	"pki b cert /b.crt\n",

	/* Interception, each way (DESIGN section 4). */
	"table <inside> { 10.0.0.0/8 fd00::/8 }\n"
	"table <partners> { 192.0.2.7, 2001:db8:7::/48\n198.51.100.7 }\n"
	"relay \"outbound\" {\n"
	"\tlisten on 127.0.0.1 port 8025\n"
	"\ttransparent forward to nat lookup except <inside>\n"
	"\tbypass from <partners>\n"
	"\tstarttls hide\n"
	"\ton-failure reset\n"
	"\tmark 4294967295\n"
	"}\n"
	"relay \"outbound-divert\" {\n"
	"\tlisten on 127.0.0.1 port 8026 divert\n"
	"\tlisten on ::1 port 8026 divert\n"
	"\tforward to destination only <partners> except <inside>\n"
	"\ton-failure reply\n"
	"\tmark 1\n"
	"}\n"
	"relay \"inbound\" {\n"
	"\tlisten on 127.0.0.1 port 8027 divert\n"
	"\tlisten on 192.0.2.25 port smtp\n"
	"\ttransparent forward to 198.51.100.10 port 25\n"
	"\ttransparent \\\n\t    forward to { 198.51.100.11\n"
	"\t    198.51.100.12 } port 25\n"
	"\ttransparent forward to <partners2> port 25\n"
	"\tstarttls pass\n"
	"}\n"
	"table <partners2> { 198.51.100.13 }\n"
	"relay r { listen on ::1 port 1\nforward to nat lookup }\n"
	"relay s { listen on ::1 port 2 divert\nforward to destination }\n"
	"relay t { listen on ::1 port 3\nforward to ::2 port 3 }",

	/* Everything at once. */
	"# comment \\\nthat goes on\n"
	"max-sessions 1000\n"
	"max-sessions-per-client 20\n"
	"max-recipients 100\n"
	"max-errors 0\n"
	"max-message-size 50M\n"
	"timeout connect 1\ntimeout greeting 2\ntimeout helo 3\n"
	"timeout mail 4\ntimeout rcpt 5\ntimeout data 6\n"
	"timeout block 7\ntimeout dot 8\ntimeout command 9\n"
	"timeout message 10\ntimeout session 604800\ntimeout tls 11\n"
	"v4 = 127.0.0.1\n"
	"both = $v4 ::1		# several words\n"
	"list = '10.0.0.1, 10.0.0.2'\n"
	"table <a> { $both }\n"
	"table <b> {\n"
	"	$list,		# one\n"
	"	\\\n"
	"	mx.example.org\n"
	"\n"
	"	192.0.2.1\n"
	"}\n"
	"table <nets> { 10.0.0.0/8 fe80::/10 192.0.2.1 }\n"
	"table <none> { }\n"
	"relay \"one\" {\n"
	"	listen on 0.0.0.0 port 2525\n"
	"	listen on :: port 2525\n"
	"	forward to <a> port 24\n"
	"	forward to <b> port 24\n"
	"	forward to { 10.0.0.1 10.0.0.9,\nmx.example.net } port 24\n"
	"	max-sessions 10\n"
	"	max-sessions-per-client 2\n"
	"	max-recipients 5\n"
	"	max-errors 1\n"
	"	max-message-size 3k\n"
	"	timeout block 99\n"
	"	timeout dot 0\n"
	"	pregreet allow\n"
	"	strict-newlines normalize\n"
	"	pass-verb XADR\n"
	"	pass-verb x-exps\n"
	"	auth-mechanisms { PLAIN, LOGIN\nscram-sha-256 }\n"
	"}\n"
	"relay two {\n"
	"	listen on $v4 \\\n"
	"	    port 2526\n"
	"	forward to \"mx.example.org\" port 25\n"
	"	pregreet reject\n"
	"	strict-newlines reject\n"
	"}\n"
};
const size_t	nconf_samples = sizeof(conf_samples) / sizeof(conf_samples[0]);

static int
sample_resolve(void *arg, const struct conf *c, const char *host,
    struct addr *addrs, size_t *n, struct conf_why *why)
{
	(void)arg;
	(void)c;
	if (strcmp(host, "mx.example.org") == 0 && *n >= 2) {
		*n = 2;
		if (addr_parse(&addrs[0], "2001:db8::25") == 0 &&
		    addr_parse(&addrs[1], "198.51.100.25") == 0)
			return 0;
	}
	if (strcmp(host, "mx.example.net") == 0 && *n >= 1) {
		*n = 1;
		if (addr_parse(&addrs[0], "203.0.113.25") == 0)
			return 0;
	}
	if (strcmp(host, "odd.example.org") == 0 && *n >= 1) {
		*n = 1;
		if (addr_parse(&addrs[0], "0.0.0.0") == 0)
			return 0;
	}
	if (strcmp(host, "empty.example.org") == 0) {
		*n = 0;
		return 0;
	}
	return conf_fail(why, "\"%s\" does not resolve, expected a name with "
	    "an address", host);
}

static int
sample_read_key(const char *path, uint8_t *octets, size_t *len,
    struct conf_why *why)
{
	char	text[CONF_PATH_MAX + 8];

	if (strstr(path, "/none/") != NULL)
		return conf_fail(why, "%s: No such file or directory", path);
	(void)snprintf(text, sizeof(text), "KEY %s", path);
	*len = strlen(text);
	memcpy(octets, text, *len);
	return 0;
}

static int
sample_read_cert(const char *path, size_t max, uint8_t **octets, size_t *len,
    struct conf_why *why)
{
	char	text[CONF_PATH_MAX + 8];

	if (strstr(path, "/none/") != NULL)
		return conf_fail(why, "%s: No such file or directory", path);
	(void)snprintf(text, sizeof(text), "CERT %s", path);
	*len = strlen(text);
	if (*len > max || (*octets = (uint8_t *)strdup(text)) == NULL)
		return conf_fail(why, "out of memory");
	return 0;
}

static int
sample_check_pair(void *arg, const uint8_t *cert, size_t certlen,
    const uint8_t *key, size_t keylen, struct conf_why *why)
{
	(void)arg;
	if (certlen > 8 && certlen == keylen + 1 &&
	    memcmp(cert, "CERT ", 5) == 0 && memcmp(key, "KEY ", 4) == 0 &&
	    memcmp(cert + 5, key + 4, keylen - 7) == 0)
		return 0;
	return conf_fail(why, "certificate and key do not match, expected "
	    "two of one pair");
}

static int
sample_check_ca(void *arg, const uint8_t *data, size_t len,
    struct conf_why *why)
{
	(void)arg;
	if (len > 10 && memcmp(data, "CERT /bad/", 10) == 0)
		return conf_fail(why, "no certificate in it, expected PEM");
	return 0;
}

static int
sample_check_ciphers(void *arg, const char *list, struct conf_why *why)
{
	(void)arg;
	if (strcmp(list, "BAD") == 0)
		return conf_fail(why, "no cipher match, expected an OpenSSL "
		    "list");
	return 0;
}

const struct conf_hooks	sample_hooks = {
	.resolve = sample_resolve,
	.read_key = sample_read_key,
	.read_cert = sample_read_cert,
	.check_pair = sample_check_pair,
	.check_ca = sample_check_ca,
	.check_ciphers = sample_check_ciphers
};

void
sample_say(void *arg, const struct conf_place *place, const char *text)
{
	struct sample_said	*said = arg;
	size_t			 used;

	if (said == NULL)
		return;
	used = strlen(said->text);
	(void)snprintf(said->text + used, sizeof(said->text) - used,
	    "%d: %s\n", place->line, text);
}

struct conf *
sample_load(const char *text, size_t len, struct sample_said *said)
{
	if (said != NULL)
		said->text[0] = '\0';
	return conf_load_text("test.conf", text, len, &sample_hooks, NULL,
	    sample_say, said);
}

static int
limits_are_equal(const struct conf_limits *a, const struct conf_limits *b)
{
	return a->max_sessions == b->max_sessions &&
	    a->max_sessions_per_client == b->max_sessions_per_client &&
	    a->max_recipients == b->max_recipients &&
	    a->max_errors == b->max_errors &&
	    a->max_message_size == b->max_message_size &&
	    memcmp(a->timeout_ms, b->timeout_ms, sizeof(a->timeout_ms)) == 0;
}

static int
server_is_equal(const struct conf_tls_server *a,
    const struct conf_tls_server *b)
{
	size_t	i;

	if (a->mode != b->mode || a->verify != b->verify || a->ca != b->ca ||
	    a->npkis != b->npkis)
		return 0;
	for (i = 0; i < a->npkis; i++)
		if (a->pkis[i].pki != b->pkis[i].pki)
			return 0;
	return 1;
}

static int
tls_is_equal(const struct conf_relay *a, const struct conf_relay *b)
{
	const struct conf_listener	*la, *lb;

	if (a->identity != b->identity || a->adds_trace != b->adds_trace ||
	    a->tls_protocols != b->tls_protocols ||
	    strcmp(a->tls_ciphers, b->tls_ciphers) != 0 ||
	    a->tls.mode != b->tls.mode || a->tls.ca != b->tls.ca ||
	    a->tls.is_implicit != b->tls.is_implicit ||
	    a->nlisteners != b->nlisteners ||
	    !server_is_equal(&a->terminate, &b->terminate))
		return 0;
	for (la = a->listeners, lb = b->listeners; la != NULL && lb != NULL;
	    la = la->next, lb = lb->next)
		if (la->number != lb->number ||
		    !addr_is_equal(&la->addr, &lb->addr) ||
		    la->is_divert != lb->is_divert ||
		    !server_is_equal(&la->tls, &lb->tls))
			return 0;
	return la == NULL && lb == NULL;
}

static int
files_are_equal(const struct conf *a, const struct conf *b)
{
	const struct conf_blob	*ba, *bb;
	const struct conf_pki	*pa, *pb;

	for (ba = a->blobs, bb = b->blobs; ba != NULL && bb != NULL;
	    ba = ba->next, bb = bb->next)
		if (ba->number != bb->number || ba->len != bb->len ||
		    memcmp(ba->data, bb->data, ba->len + 1) != 0)
			return 0;
	for (pa = a->pkis, pb = b->pkis; pa != NULL && pb != NULL;
	    pa = pa->next, pb = pb->next)
		if (pa->number != pb->number || pa->cert != pb->cert ||
		    strcmp(pa->name, pb->name) != 0)
			return 0;
	return ba == NULL && bb == NULL && pa == NULL && pb == NULL;
}

static int
relay_is_equal(const struct conf_relay *a, const struct conf_relay *b)
{
	size_t	i;

	if (strcmp(a->name, b->name) != 0 || a->number != b->number ||
	    a->pregreet != b->pregreet || a->nchoices != b->nchoices ||
	    a->newlines != b->newlines ||
	    a->forward != b->forward || a->starttls != b->starttls ||
	    a->is_transparent != b->is_transparent ||
	    a->npass_verbs != b->npass_verbs ||
	    a->nauth_mechs != b->nauth_mechs ||
	    !limits_are_equal(&a->limits, &b->limits) || !tls_is_equal(a, b))
		return 0;
	for (i = 0; i < a->nchoices; i++)
		if (!addr_is_equal(&a->choices[i].addr, &b->choices[i].addr) ||
		    strcmp(a->choices[i].host, b->choices[i].host) != 0)
			return 0;
	for (i = 0; i < a->npass_verbs; i++)
		if (strcmp(a->pass_verbs[i], b->pass_verbs[i]) != 0)
			return 0;
	for (i = 0; i < a->nauth_mechs; i++)
		if (strcmp(a->auth_mechs[i], b->auth_mechs[i]) != 0)
			return 0;
	return 1;
}

int
conf_is_equal(const struct conf *a, const struct conf *b)
{
	const struct conf_relay	*ra, *rb;

	if (conf_counts_all_sessions(a) != conf_counts_all_sessions(b) ||
	    a->generation != b->generation || a->nrelays != b->nrelays ||
	    !files_are_equal(a, b) ||
	    strcmp(a->hostname, b->hostname) != 0)
		return 0;
	for (ra = a->relays, rb = b->relays; ra != NULL && rb != NULL;
	    ra = ra->next, rb = rb->next)
		if (!relay_is_equal(ra, rb))
			return 0;
	return ra == NULL && rb == NULL;
}
