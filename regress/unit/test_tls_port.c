/*
 * Tests of the TLS library's part of the keyholder: real handshakes with a key
 * that is elsewhere, of every type and scheme, at once and paused; what is
 * refused; and what every context has.
 */
#include "../../common/port/tls.h"

#include <check.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "port_pair.h"
#include "tls_pki.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))
#define TLS12		TLS1_2_VERSION
#define TLS13		TLS1_3_VERSION

/* --- Handshakes --- */

enum outcome { WORKS, FAILS, WORKS_NATIVE };

static const struct {
	enum pp_key	 key;
	int		 version;
	const char	*sigalgs;	/* of the client; NULL: its default */
	const char	*groups;
	const char	*ciphers;
	enum outcome	 want;
} rows[] = {
	{ PP_RSA,	TLS12,	NULL, NULL, NULL, WORKS },
	{ PP_RSA,	TLS13,	NULL, NULL, NULL, WORKS },
	{ PP_P256,	TLS12,	NULL, NULL, NULL, WORKS },
	{ PP_P256,	TLS13,	NULL, NULL, NULL, WORKS },
	{ PP_P384,	TLS12,	NULL, NULL, NULL, WORKS },
	{ PP_P384,	TLS13,	NULL, NULL, NULL, WORKS },
	{ PP_ED25519,	TLS12,	NULL, NULL, NULL, WORKS_NATIVE },
	{ PP_ED25519,	TLS13,	NULL, NULL, NULL, WORKS_NATIVE },
	/* Every scheme. */
	{ PP_RSA,	TLS12,	"RSA+SHA256", NULL, NULL, WORKS },
	{ PP_RSA,	TLS12,	"RSA+SHA384", NULL, NULL, WORKS },
	{ PP_RSA,	TLS12,	"RSA+SHA512", NULL, NULL, WORKS },
	{ PP_RSA,	TLS12,	"RSA-PSS+SHA384", NULL, NULL, WORKS },
	{ PP_RSA,	TLS13,	"RSA-PSS+SHA256:RSA+SHA256", NULL, NULL,
	    WORKS },
	{ PP_RSA,	TLS13,	"RSA-PSS+SHA384:RSA+SHA256", NULL, NULL,
	    WORKS },
	{ PP_RSA,	TLS13,	"RSA-PSS+SHA512:RSA+SHA256", NULL, NULL,
	    WORKS },
	{ PP_RSA,	TLS13,	"RSA+SHA256", NULL, NULL, FAILS },
	{ PP_P256,	TLS12,	"ECDSA+SHA384:ECDSA+SHA256", NULL, NULL,
	    WORKS },
	{ PP_P256,	TLS12,	"ECDSA+SHA512:ECDSA+SHA256", NULL, NULL,
	    WORKS },
	{ PP_P384,	TLS12,	"ECDSA+SHA256", NULL, NULL, WORKS },
	{ PP_P256,	TLS13,	"ECDSA+SHA384", NULL, NULL, FAILS },
	/* A hash that is not signed is passed over, or refused. */
	{ PP_RSA,	TLS12,	"RSA+SHA224:RSA+SHA256", NULL, NULL,
	    WORKS_NATIVE },
	{ PP_RSA,	TLS12,	"RSA+SHA224", NULL, NULL, FAILS },
	/* Every group. */
	{ PP_RSA,	TLS12,	NULL, "X25519", NULL, WORKS },
	{ PP_RSA,	TLS12,	NULL, "P-256", NULL, WORKS },
	{ PP_RSA,	TLS12,	NULL, "P-384", NULL, WORKS },
	{ PP_RSA,	TLS12,	NULL, "P-521", NULL, FAILS },
	{ PP_RSA,	TLS13,	NULL, "P-521", NULL, FAILS },
	{ PP_RSA,	TLS13,	NULL, "P-384", NULL, WORKS },
	{ PP_RSA,	TLS13,	NULL, "P-521:P-256", NULL, WORKS },
	/* No key exchange but ECDHE. */
	{ PP_RSA,	TLS12,	NULL, NULL, "ECDHE-RSA-AES256-GCM-SHA384",
	    WORKS },
	{ PP_RSA,	TLS12,	NULL, NULL, "ECDHE-RSA-CHACHA20-POLY1305",
	    WORKS },
	{ PP_RSA,	TLS12,	NULL, NULL, "AES128-GCM-SHA256", FAILS },
	{ PP_RSA,	TLS12,	NULL, NULL, "DHE-RSA-AES128-GCM-SHA256",
	    FAILS },
	{ PP_RSA,	TLS12,	NULL, NULL, "ECDHE-RSA-AES128-SHA", FAILS },
};

static SSL_CTX *
row_client(int i)
{
	SSL_CTX	*ctx = pp_client(rows[i].version, pp_pki[rows[i].key].cert);

	if (rows[i].sigalgs != NULL)
		ck_assert_int_eq(SSL_CTX_set1_sigalgs_list(ctx,
		    rows[i].sigalgs), 1);
	if (rows[i].groups != NULL)
		ck_assert_int_eq(SSL_CTX_set1_groups_list(ctx,
		    rows[i].groups), 1);
	if (rows[i].ciphers != NULL)
		ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx,
		    rows[i].ciphers), 1);
	return ctx;
}

static void
run_row(int i, int pauses)
{
	struct pp_pair	p;
	SSL_CTX		*server, *client;
	int		 works = rows[i].want == WORKS ||
			    (rows[i].want == WORKS_NATIVE && pp_is_native);

	if (rows[i].key == PP_ED25519 && !pp_is_native)
		return;
	server = pp_server(rows[i].key, NULL);
	client = row_client(i);
	pp_open(&p, server, client);
	pp_signer.pauses_left = pauses;
	pp_shake(&p);
	ck_assert_msg((p.client_error == SSL_ERROR_NONE) == works,
	    "client: %d, %s", p.client_error, pp_signer.refusal);
	ck_assert_int_eq(p.server_error == SSL_ERROR_NONE, works);
	if (works) {
		ck_assert_int_eq(SSL_version(p.client), rows[i].version);
		ck_assert_int_eq(pp_signer.nsigned, 1);
		ck_assert_int_eq(pp_signer.npauses, pauses);
		ck_assert_str_eq(pp_signer.refusal, "");
		pp_talk(&p);
	} else
		ck_assert_int_eq(p.server_error, SSL_ERROR_SSL);
	pp_close(&p);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

START_TEST(handshakes)
{
	run_row(_i, 0);
}
END_TEST

START_TEST(handshakes_paused)
{
	if (pp_is_native)
		run_row(_i, 2);
}
END_TEST

/* Refused, at once or after a pause: an alert, and the next one works. */
START_TEST(refused)
{
	struct pp_pair	p;
	SSL_CTX		*server = pp_server(PP_P256, NULL);
	SSL_CTX		*client;

	client = pp_client(_i % 2 == 0 ? TLS12 : TLS13, pp_pki[PP_P256].cert);
	pp_signer.is_refusing = 1;
	pp_signer.pauses_left = pp_is_native && _i >= 2;
	pp_open(&p, server, client);
	pp_shake(&p);
	ck_assert_int_eq(p.server_error, SSL_ERROR_SSL);
	ck_assert_int_eq(p.client_error, SSL_ERROR_SSL);
	pp_close(&p);
	pp_signer.is_refusing = 0;
	pp_open(&p, server, client);
	pp_shake(&p);
	ck_assert_int_eq(p.client_error, SSL_ERROR_NONE);
	ck_assert_int_eq(p.server_error, SSL_ERROR_NONE);
	pp_close(&p);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

/* Another key than the certificate's: clients notice, of whatever type. */
START_TEST(other_key)
{
	struct pp_pair	p;
	SSL_CTX		*server, *client;
	enum pp_key	 key = _i < 2 ? PP_P256 : PP_RSA;

	server = pp_server(key, NULL);
	client = pp_client(_i % 2 == 0 ? TLS12 : TLS13, pp_pki[key].cert);
	pp_signer.swapped_by = _i < 2 ? PP_OTHER - PP_P256 : PP_P384 - PP_RSA;
	pp_open(&p, server, client);
	pp_shake(&p);
	ck_assert_int_eq(p.client_error, SSL_ERROR_SSL);
	ck_assert_int_ne(p.server_error, SSL_ERROR_NONE);
	/* A key of another type does not know the scheme at all. */
	ck_assert_int_eq(pp_signer.refusal[0] != '\0', _i >= 2);
	pp_close(&p);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

/* What holds for a key that is elsewhere. */
START_TEST(key_object)
{
	unsigned char	*der = NULL;
	SSL_CTX		*ctx;
	EVP_PKEY	*pkey;

	if (!pp_is_native)
		return;
	ctx = pp_server((enum pp_key)_i, NULL);
	pkey = SSL_CTX_get0_privatekey(ctx);
	ck_assert_ptr_nonnull(pkey);
	ck_assert_int_le(i2d_PrivateKey(pkey, &der), 0);
	ck_assert_ptr_null(der);
	ck_assert_int_eq(EVP_PKEY_eq(pkey, pp_pki[_i].key), 1);
	ck_assert_int_ne(EVP_PKEY_eq(pkey, pp_pki[(_i + 1) % PP_KEYS].key), 1);
	ck_assert_int_eq(X509_check_private_key(pp_pki[_i].cert, pkey), 1);
	ck_assert_int_eq(EVP_PKEY_get_bits(pkey),
	    EVP_PKEY_get_bits(pp_pki[_i].key));
	SSL_CTX_free(ctx);
}
END_TEST

static const char	*bad_types[] = { "ED448", "ED25519" };

START_TEST(use_key_refuses)
{
	struct tls_pki_want	 want = { .cn = "x" };
	struct tls_pki		 bad = { NULL, NULL };
	const char		*what = NULL;
	SSL_CTX			*ctx;

	if (_i == 1 && pp_is_native)
		return;
	want.key = bad_types[_i];
	tls_pki_make(&bad, &want, NULL);
	ck_assert_ptr_nonnull(ctx = port_tls_ctx_new(1));
	ck_assert_int_eq(port_tls_use_key(ctx, bad.cert, 0, pp_sign, &what),
	    -1);
	ck_assert_ptr_nonnull(what);
	SSL_CTX_free(ctx);
	tls_pki_clear(&bad);
}
END_TEST

/* --- Pausing --- */

START_TEST(pause_outside)
{
	ck_assert_int_eq(port_tls_pause(), -1);
	ck_assert_int_eq(port_tls_is_paused(SSL_ERROR_WANT_READ), 0);
	ck_assert_int_eq(port_tls_is_paused(SSL_ERROR_SSL), 0);
	ck_assert_int_eq(port_tls_is_jobless(SSL_ERROR_WANT_READ), 0);
	ck_assert_int_eq(port_tls_is_jobless(SSL_ERROR_SSL), 0);
}
END_TEST

/* As many as there are jobs pause at once; one more waits for a job. */
START_TEST(jobs)
{
	struct pp_pair	p[PP_JOBS + 1];
	SSL_CTX		*server, *client;
	int		 i, round;

	if (!pp_is_native)
		return;
	server = pp_server(PP_P256, NULL);
	client = pp_client(TLS13, pp_pki[PP_P256].cert);
	for (i = 0; i <= PP_JOBS; i++) {
		pp_signer.pauses_left = 1;
		pp_open(&p[i], server, client);
		pp_step(p[i].client, &p[i].client_error);
		pp_step(p[i].server, &p[i].server_error);
		ck_assert_int_eq(port_tls_is_paused(p[i].server_error),
		    i < PP_JOBS);
		ck_assert_int_eq(port_tls_is_jobless(p[i].server_error),
		    i == PP_JOBS);
	}
	ck_assert_int_eq(pp_signer.nsigned, 0);
	pp_signer.pauses_left = 0;
	for (round = 0; round < 2; round++)
		for (i = 0; i <= PP_JOBS; i++)
			pp_shake(&p[i]);
	for (i = 0; i <= PP_JOBS; i++) {
		ck_assert_int_eq(p[i].server_error, SSL_ERROR_NONE);
		ck_assert_int_eq(p[i].client_error, SSL_ERROR_NONE);
		pp_close(&p[i]);
	}
	ck_assert_int_eq(pp_signer.nsigned, PP_JOBS + 1);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

/* --- Contexts --- */

START_TEST(context)
{
	SSL_CTX	*ctx;

	ck_assert_ptr_nonnull(ctx = port_tls_ctx_new(_i));
	ck_assert_int_eq(SSL_CTX_get_min_proto_version(ctx), TLS12);
	ck_assert((SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION) != 0);
	ck_assert((SSL_CTX_get_options(ctx) & SSL_OP_NO_COMPRESSION) != 0);
	ck_assert((SSL_CTX_get_options(ctx) &
	    SSL_OP_CIPHER_SERVER_PREFERENCE) == 0);
	ck_assert_int_eq(SSL_CTX_get_session_cache_mode(ctx),
	    SSL_SESS_CACHE_OFF);
	ck_assert_uint_eq(SSL_CTX_get_max_early_data(ctx), 0);
	ck_assert((SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS) != 0);
	ck_assert((SSL_CTX_get_mode(ctx) & SSL_MODE_ENABLE_PARTIAL_WRITE) !=
	    0);
	SSL_CTX_free(ctx);
}
END_TEST

/* Neither side begins anew. */
START_TEST(no_renegotiation)
{
	struct pp_pair	p;
	SSL_CTX		*server = pp_server(PP_P256, NULL);
	SSL_CTX		*client = pp_client(TLS12, pp_pki[PP_P256].cert);
	char		 octet;

	pp_open(&p, server, client);
	pp_shake(&p);
	pp_talk(&p);
	ck_assert_int_eq(SSL_renegotiate(p.server), 0);
	ck_assert_int_eq(SSL_renegotiate(p.client), 1);
	(void)SSL_do_handshake(p.client);
	(void)SSL_read(p.server, &octet, 1);
	(void)SSL_do_handshake(p.client);
	ck_assert_int_eq(pp_signer.nsigned, 1);
	pp_close(&p);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("tls_port");
	TCase	*tc = tcase_create("tls_port");
	SRunner	*sr = srunner_create(s);
	int	 nfailed;

	tcase_set_timeout(tc, 20);
	tcase_add_unchecked_fixture(tc, pp_set_up, pp_tear_down);
	tcase_add_checked_fixture(tc, pp_reset, NULL);
	tcase_add_loop_test(tc, handshakes, 0, NROWS(rows));
	tcase_add_loop_test(tc, handshakes_paused, 0, NROWS(rows));
	tcase_add_loop_test(tc, refused, 0, 4);
	tcase_add_loop_test(tc, other_key, 0, 4);
	tcase_add_loop_test(tc, key_object, 0, PP_KEYS);
	tcase_add_loop_test(tc, use_key_refuses, 0, NROWS(bad_types));
	tcase_add_test(tc, pause_outside);
	tcase_add_test(tc, jobs);
	tcase_add_loop_test(tc, context, 0, 2);
	tcase_add_test(tc, no_renegotiation);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed != 0;
}
