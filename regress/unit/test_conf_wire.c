/*
 * Tests of the snapshot: every valid configuration comes back equal; records
 * that are cut, changed, doubled or in another order are refused, or give a
 * configuration that is whole.
 */
#include <sys/types.h>

#include <check.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/conf_wire.h"
#include "conf_samples.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define RECORDS_MAX	512

struct records {
	uint8_t	data[RECORDS_MAX][CONF_WIRE_MAX];
	size_t	len[RECORDS_MAX];
	size_t	n;
	size_t	max;			/* put fails from here on */
};
static struct records	sent;

/* Pieces of the blobs, likewise. */
static struct {
	uint8_t		data[RECORDS_MAX][CONF_WIRE_PIECE];
	uint32_t	blob[RECORDS_MAX];
	size_t		len[RECORDS_MAX];
	size_t		n;
	size_t		max;
} pieces;

static int
records_put(void *arg, const uint8_t *data, size_t len)
{
	struct records	*r = arg;

	ck_assert_uint_le(len, CONF_WIRE_MAX);
	if (r->n >= r->max)
		return -1;
	memcpy(r->data[r->n], data, len);
	r->len[r->n++] = len;
	return 0;
}

static int
pieces_put(void *arg, uint32_t blob, const uint8_t *data, size_t len)
{
	ck_assert_ptr_null(arg);
	ck_assert_uint_le(len, CONF_WIRE_PIECE);
	if (pieces.n >= pieces.max)
		return -1;
	memcpy(pieces.data[pieces.n], data, len);
	pieces.blob[pieces.n] = blob;
	pieces.len[pieces.n++] = len;
	return 0;
}

static void
records_write(const struct conf *c)
{
	sent.n = pieces.n = 0;
	sent.max = pieces.max = RECORDS_MAX;
	ck_assert_int_eq(conf_wire_write(c, records_put, &sent),
	    (int64_t)sent.n);
	ck_assert_int_eq(conf_wire_pieces(c, pieces_put, NULL), 0);
}

/* All records with one of them replaced; NULL when one was refused. */
static struct conf *
records_read(size_t which, const uint8_t *data, size_t len)
{
	struct conf	*c = conf_new();
	size_t		 i;
	int		 rc = 0;

	ck_assert_ptr_nonnull(c);
	for (i = 0; i < sent.n && rc == 0; i++) {
		if (i == which)
			rc = conf_wire_read(c, data, len);
		else
			rc = conf_wire_read(c, sent.data[i], sent.len[i]);
	}
	for (i = 0; i < pieces.n && rc == 0; i++)
		rc = conf_wire_piece(c, pieces.blob[i], pieces.data[i],
		    pieces.len[i]);
	if (rc == 0 && conf_wire_check(c) == 0)
		return c;
	conf_free(c);
	return NULL;
}

/* Numbers that exist, and a certificate wherever there is TLS. */
static void
check_sound_server(const struct conf *c, const struct conf_tls_server *s)
{
	const struct conf_pki	*p;
	size_t			 i;

	ck_assert(s->npkis > 0 || s->mode == TLS_OFF);
	ck_assert_int_eq(s->verify != TLS_VERIFY_OFF, s->ca != CONF_NO_BLOB);
	for (i = 0; i < s->npkis; i++) {
		p = conf_pki_by_number(c, s->pkis[i].pki);
		ck_assert_ptr_nonnull(p);
		ck_assert_ptr_nonnull(conf_blob_by_number(c, p->cert));
	}
	if (s->ca != CONF_NO_BLOB)
		ck_assert_ptr_nonnull(conf_blob_by_number(c, s->ca));
}

static void
check_sound_tls(const struct conf *c, const struct conf_relay *r)
{
	const struct conf_listener	*l;

	for (l = r->listeners; l != NULL; l = l->next)
		check_sound_server(c, &l->tls);
	check_sound_server(c, &r->terminate);
	ck_assert_int_eq(r->starttls == STARTTLS_TERMINATE,
	    r->terminate.npkis > 0);
	ck_assert_int_eq(r->tls.mode == DEST_TLS_VERIFY,
	    r->tls.ca != CONF_NO_BLOB);
	if (r->tls.ca != CONF_NO_BLOB)
		ck_assert_ptr_nonnull(conf_blob_by_number(c, r->tls.ca));
	ck_assert_uint_ne(r->tls_protocols, 0);
}

/* A conf that was taken must hold what its users rely upon. */
static void
check_sound(const struct conf *c)
{
	const struct conf_relay	*r;
	size_t			 i, n = 0;

	ck_assert_uint_gt(strlen(c->hostname), 0);
	for (r = c->relays; r != NULL; r = r->next) {
		ck_assert_uint_eq(r->number, n++);
		ck_assert_uint_le(r->nchoices, CONF_CHOICES_MAX);
		ck_assert_uint_eq(r->nchoices, r->nannounced);
		ck_assert_int_eq(r->nchoices > 0, r->forward == FORWARD_FIXED);
		ck_assert_int_le(r->forward, FORWARD_DESTINATION);
		ck_assert_int_le(r->starttls, STARTTLS_TERMINATE);
		ck_assert_ptr_nonnull(r->listeners);
		check_sound_tls(c, r);
		ck_assert(r->is_transparent == 0 || r->is_transparent == 1);
		for (i = 0; i < r->nchoices; i++) {
			ck_assert_uint_ne(r->choices[i].addr.family, 0);
			ck_assert_uint_ne(r->choices[i].addr.port, 0);
			ck_assert_uint_lt(strlen(r->choices[i].host),
			    CONF_HOST_MAX);
		}
		for (i = 0; i < STAGES; i++)
			ck_assert_int_ge(r->limits.timeout_ms[i], 0);
	}
	ck_assert_uint_eq(n, c->nrelays);
}

static struct conf *
sample(size_t i)
{
	struct conf	*c;

	c = sample_load(conf_samples[i], strlen(conf_samples[i]), NULL);
	ck_assert_ptr_nonnull(c);
	c->generation = 0x12345678;
	return c;
}

START_TEST(same)
{
	struct conf	*c, *back;
	size_t		 i;

	for (i = 0; i < nconf_samples; i++) {
		c = sample(i);
		records_write(c);
		back = records_read(SIZE_MAX, NULL, 0);
		ck_assert_ptr_nonnull(back);
		ck_assert(conf_is_equal(c, back));
		ck_assert_uint_eq(back->wire_next, sent.n);
		check_sound(back);
		conf_free(back);
		conf_free(c);
	}
}
END_TEST

/* Choices are the fixed way's; what the parent alone decides stays there. */
START_TEST(ways)
{
	static const struct {
		enum conf_forward	forward;
		size_t			nchoices;
		int			is_good;
	} rows[] = {
		{ FORWARD_FIXED, 0, 0 },
		{ FORWARD_FIXED, 1, 1 },
		{ FORWARD_NAT, 0, 1 },
		{ FORWARD_NAT, 1, 0 },
		{ FORWARD_DESTINATION, 0, 1 },
		{ FORWARD_DESTINATION, 1, 0 },
		{ (enum conf_forward)3, 0, 0 }
	};
	struct conf	*c, *back;
	size_t		 i;

	for (i = 0; i < NROWS(rows); i++) {
		c = sample(0);
		c->relays->forward = rows[i].forward;
		c->relays->nchoices = rows[i].nchoices;
		c->relays->listeners->is_divert =
		    rows[i].forward == FORWARD_DESTINATION;
		c->relays->mark = 5;
		c->relays->on_failure = ON_FAILURE_RESET;
		(void)strlcpy(c->relays->only.table, "t", CONF_NAME_MAX);
		records_write(c);
		back = records_read(SIZE_MAX, NULL, 0);
		ck_assert_int_eq(back != NULL, rows[i].is_good);
		if (back != NULL) {
			ck_assert_int_eq(back->relays->forward,
			    rows[i].forward);
			ck_assert_uint_eq(back->relays->mark, 0);
			ck_assert_int_eq(back->relays->on_failure,
			    ON_FAILURE_REPLY);
			ck_assert_str_eq(back->relays->only.table, "");
		}
		conf_free(back);
		conf_free(c);
	}
}
END_TEST

/* As much as there may be of everything. */
static struct conf *
large_conf(size_t nrelays)
{
	struct conf		*c = conf_new();
	struct conf_place	 place = { "t", 1 };
	struct conf_why		 why;
	struct conf_relay	*r;
	char			 name[CONF_NAME_MAX], host[CONF_HOST_MAX];
	size_t			 i, k;

	ck_assert_int_eq(conf_set_hostname(c, "gw.example.org", &why), 0);
	memset(host, 'a', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	for (i = 0; i < nrelays; i++) {
		memset(name, 'n', sizeof(name));
		(void)snprintf(name, sizeof(name), "%059zu", i);
		r = conf_add_relay(c, name, place, &why);
		ck_assert_ptr_nonnull(r);
		ck_assert_int_eq(conf_add_listener(c, r, "::1",
		    (int64_t)i + 1, 0, place, &why), 0);
		r->tls_protocols = CONF_TLS13;
		for (k = 0; k < CONF_LIST_MAX; k++) {
			(void)snprintf(name, sizeof(name), "X%014zu", k);
			ck_assert_int_eq(conf_add_pass_verb(r, name, &why),
			    0);
			(void)snprintf(name, sizeof(name), "M%019zu", k);
			ck_assert_int_eq(conf_add_auth_mech(r, name, &why),
			    0);
		}
		r->choices = calloc(CONF_CHOICES_MAX, sizeof(*r->choices));
		for (k = 0; k < CONF_CHOICES_MAX; k++) {
			(void)addr_parse(&r->choices[k].addr, "fe80::1%7");
			r->choices[k].addr.port = (uint16_t)(k + 1);
			memcpy(r->choices[k].host, host, sizeof(host));
		}
		r->nchoices = CONF_CHOICES_MAX;
	}
	return c;
}

START_TEST(large)
{
	struct conf	*c = large_conf(10), *back;

	records_write(c);
	ck_assert_uint_gt(sent.n, 10);
	back = records_read(SIZE_MAX, NULL, 0);
	ck_assert_ptr_nonnull(back);
	ck_assert(conf_is_equal(c, back));
	conf_free(back);
	conf_free(c);
}
END_TEST

START_TEST(put_fails)
{
	struct conf	*c = large_conf(1);
	size_t		 i, n;

	records_write(c);
	n = sent.n;
	for (i = 0; i < n; i++) {
		sent.n = 0;
		sent.max = i;
		ck_assert_int_eq(conf_wire_write(c, records_put, &sent), -1);
	}
	conf_free(c);
}
END_TEST

/* Each record cut at each octet, or one octet longer: always refused. */
START_TEST(cut)
{
	static uint8_t	 longer[CONF_WIRE_MAX + 1];
	struct conf	*c;
	size_t		 i, k, n;

	for (n = 0; n < nconf_samples; n++) {
		c = sample(n);
		records_write(c);
		conf_free(c);
		for (i = 0; i < sent.n; i++) {
			for (k = 0; k < sent.len[i]; k++)
				ck_assert_ptr_null(records_read(i,
				    sent.data[i], k));
			memcpy(longer, sent.data[i], sent.len[i]);
			longer[sent.len[i]] = 0;
			ck_assert_ptr_null(records_read(i, longer,
			    sent.len[i] + 1));
		}
	}
}
END_TEST

/* Each octet of each record with one bit changed, and with all. */
START_TEST(changed)
{
	static const uint8_t	 masks[] = {
		1, 2, 4, 8, 16, 32, 64, 128, 255
	};
	static uint8_t		 other[CONF_WIRE_MAX];
	struct conf		*c, *back;
	size_t			 i, k, n, v;

	for (n = 0; n < nconf_samples; n++) {
		c = sample(n);
		records_write(c);
		for (i = 0; i < sent.n; i++)
			for (k = 0; k < sent.len[i]; k++)
				for (v = 0; v < NROWS(masks); v++) {
					memcpy(other, sent.data[i],
					    sent.len[i]);
					other[k] = (uint8_t)(other[k] ^
					    masks[v]);
					back = records_read(i, other,
					    sent.len[i]);
					if (back == NULL)
						continue;
					check_sound(back);
					ck_assert(!conf_is_equal(c, back));
					conf_free(back);
				}
		conf_free(c);
	}
}
END_TEST

START_TEST(order)
{
	struct conf	*c = large_conf(2), *back;
	size_t		 i;

	records_write(c);
	ck_assert_uint_gt(sent.n, 3);

	/* Out of order, and double. */
	back = conf_new();
	ck_assert_int_eq(conf_wire_check(back), -1);
	ck_assert_int_eq(conf_wire_read(back, sent.data[1], sent.len[1]), -1);
	conf_free(back);
	back = conf_new();
	ck_assert_int_eq(conf_wire_read(back, sent.data[0], sent.len[0]), 0);
	ck_assert_int_eq(conf_wire_read(back, sent.data[0], sent.len[0]), -1);
	conf_free(back);

	/* Missing at the end. */
	back = conf_new();
	for (i = 0; i < sent.n; i++) {
		ck_assert_int_eq(conf_wire_check(back), -1);
		ck_assert_int_eq(conf_wire_read(back, sent.data[i],
		    sent.len[i]), 0);
	}
	ck_assert_int_eq(conf_wire_check(back), 0);

	/* And behind it. */
	sent.data[1][3] = (uint8_t)sent.n;
	ck_assert_int_eq(conf_wire_read(back, sent.data[1], sent.len[1]), -1);
	conf_free(back);
	conf_free(c);
}
END_TEST

#define CORPUS	"regress/fuzz/corpus/conf_wire"

/*
 * Records and pieces as fuzz_conf_wire.c has them, each with its length in
 * front; is it a whole configuration?
 */
static int
is_taken(const uint8_t *data, size_t len)
{
	struct conf	*c = conf_new();
	size_t		 n;
	int		 rc = 0, is_piece;

	ck_assert_ptr_nonnull(c);
	while (rc == 0 && len >= 2) {
		is_piece = data[0] >= 0x80;
		n = (size_t)(data[0] & 0x7f) << 8 | data[1];
		data += 2;
		len -= 2;
		if (n > len)
			n = len;
		if (!is_piece)
			rc = conf_wire_read(c, data, n);
		else if (n < 4)
			rc = -1;
		else
			rc = conf_wire_piece(c, data[3], data + 4, n - 4);
		data += n;
		len -= n;
	}
	if (rc == 0)
		rc = conf_wire_check(c);
	conf_free(c);
	return rc == 0;
}

/*
 * What the fuzzer begins with is what it says.  With another form of the
 * records all of it would be refused at the first octet, and nobody would see
 * that the fuzzer finds nothing any more.
 */
START_TEST(corpus)
{
	static uint8_t	 data[65536];
	struct dirent	*entry;
	DIR		*dir;
	FILE		*f;
	char		 path[512];
	size_t		 len;
	int		 ntaken = 0;

	ck_assert_ptr_nonnull(dir = opendir(CORPUS));
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), CORPUS "/%s",
		    entry->d_name);
		ck_assert_ptr_nonnull(f = fopen(path, "rb"));
		len = fread(data, 1, sizeof(data), f);
		(void)fclose(f);
		ck_assert_msg(is_taken(data, len) ==
		    (strncmp(entry->d_name, "bad_", 4) != 0), "%s", path);
		ntaken += is_taken(data, len);
	}
	(void)closedir(dir);
	ck_assert_int_gt(ntaken, 10);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("conf_wire");
	TCase	*tc = tcase_create("conf_wire");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, same);
	tcase_add_test(tc, ways);
	tcase_add_test(tc, large);
	tcase_add_test(tc, put_fails);
	tcase_add_test(tc, cut);
	tcase_add_test(tc, changed);
	tcase_add_test(tc, order);
	tcase_add_test(tc, corpus);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
