/*
 * Tests of the encoding of messages: each field by its octets, each message
 * cut at every place, and what is no valid value.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../privsep/msg.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))

/* --- Numbers and strings --- */

static void
put_all(struct msg_writer *w)
{
	msg_start(w, 0x0102, 0x1112131415161718U);
	msg_put_u8(w, 0x21);
	msg_put_u16(w, 0x3132);
	msg_put_u32(w, 0x41424344);
	msg_put_u64(w, 0x5152535455565758U);
	msg_put_octets(w, "a\0b", 3);
	msg_put_str(w, "text");
	msg_put_str(w, "");
}

static void
read_all(struct msg_reader *r)
{
	const uint8_t	*p;
	char		 text[5], none[1];
	size_t		 len;

	ck_assert_uint_eq(msg_u8(r), 0x21);
	ck_assert_uint_eq(msg_u16(r), 0x3132);
	ck_assert_uint_eq(msg_u32(r), 0x41424344);
	ck_assert(msg_u64(r) == 0x5152535455565758U);
	p = msg_octets(r, &len);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(p, "a\0b", 3);
	msg_str(r, text, sizeof(text));
	ck_assert_str_eq(text, "text");
	msg_str(r, none, sizeof(none));
	ck_assert_str_eq(none, "");
}

START_TEST(octets)
{
	static const uint8_t	wire[] = {
		0x01, 0x02, 0x00, 40,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x21,
		0x31, 0x32,
		0x41, 0x42, 0x43, 0x44,
		0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
		0, 3, 'a', 0, 'b',
		0, 4, 't', 'e', 'x', 't',
		0, 0
	};
	struct msg_writer	w;

	put_all(&w);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_uint_eq(w.used, sizeof(wire));
	ck_assert_mem_eq(w.data, wire, sizeof(wire));
	/* Finishing is no end: a channel does it once more. */
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_uint_eq(w.used, sizeof(wire));
}
END_TEST

START_TEST(back)
{
	struct msg_writer	w;
	struct msg_reader	r;
	struct msg		m;

	put_all(&w);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_int_eq(msg_parse_header(&m, w.data, w.used), 0);
	ck_assert_uint_eq(m.type, 0x0102);
	ck_assert(m.id == 0x1112131415161718U);
	ck_assert_uint_eq(m.len, w.used - MSG_HEADER);
	ck_assert_ptr_eq(m.data, w.data + MSG_HEADER);
	ck_assert_uint_eq(m.nfds, 0);
	ck_assert_int_eq(m.is_cut, 0);
	msg_reader_init(&r, &m);
	read_all(&r);
	ck_assert_int_eq(msg_done(&r), 0);
}
END_TEST

/* Every field is asked for, whatever is missing: 0 and "", and no overrun. */
static void
read_blind(struct msg_reader *r)
{
	struct addr	a;
	char		text[16];
	size_t		len;

	(void)msg_u8(r);
	(void)msg_u16(r);
	(void)msg_u32(r);
	(void)msg_u64(r);
	(void)msg_octets(r, &len);
	msg_str(r, text, sizeof(text));
	msg_str(r, text, sizeof(text));
	if (!r->has_failed)
		return;
	/* The failure sticks. */
	ck_assert_uint_eq(msg_u8(r), 0);
	ck_assert_uint_eq(msg_u16(r), 0);
	ck_assert_uint_eq(msg_u32(r), 0);
	ck_assert(msg_u64(r) == 0);
	ck_assert_ptr_null(msg_octets(r, &len));
	ck_assert_uint_eq(len, 0);
	msg_str(r, text, sizeof(text));
	ck_assert_str_eq(text, "");
	msg_addr(r, &a);
	ck_assert_uint_eq(a.family, 0);
	ck_assert_uint_eq(a.port, 0);
}

START_TEST(cut_anywhere)
{
	struct msg_writer	w;
	struct msg_reader	r;
	struct msg		m;
	uint8_t			exact[64];
	size_t			len;

	put_all(&w);
	ck_assert_int_eq(msg_finish(&w), 0);
	for (len = 0; len <= w.used - MSG_HEADER + 1; len++) {
		memset(&m, 0, sizeof(m));
		memcpy(exact, w.data + MSG_HEADER, len);
		m.data = exact;
		m.len = len;
		msg_reader_init(&r, &m);
		read_blind(&r);
		ck_assert_int_eq(msg_done(&r),
		    len == w.used - MSG_HEADER ? 0 : -1);
	}
}
END_TEST

/* --- Strings that are none --- */

static const struct {
	const char	*wire;
	size_t		 len;
	int		 rc;
	const char	*text;
} strings[] = {
	{ "\0\3abc",	5, 0,	"abc" },
	{ "\0\0",	2, 0,	"" },
	{ "\0\4abcd",	6, -1,	"" },		/* no room for its NUL */
	{ "\0\3a\0c",	5, -1,	"" },		/* NUL inside */
	{ "\0\3ab\0",	5, -1,	"" },		/* and at the end */
	{ "\0\3ab",	4, -1,	"" },		/* short */
	{ "\0\2abc",	5, -1,	"ab" },		/* something behind it */
	{ "\377\377a",	3, -1,	"" },
	{ "\0",		1, -1,	"" },
	{ "",		0, -1,	"" }
};

START_TEST(string_forms)
{
	struct msg_reader	r;
	struct msg		m;
	char			text[4] = "xxx";

	memset(&m, 0, sizeof(m));
	m.data = (const uint8_t *)strings[_i].wire;
	m.len = strings[_i].len;
	msg_reader_init(&r, &m);
	msg_str(&r, text, sizeof(text));
	ck_assert_str_eq(text, strings[_i].text);
	ck_assert_int_eq(msg_done(&r), strings[_i].rc);
}
END_TEST

/* --- Addresses --- */

static const struct {
	const char	*wire;
	size_t		 len;
	int		 rc;
} addresses[] = {
	{ "\0\0\0\0\0\0\0",			7, 0 },
	{ "\4\0\31\0\0\0\0\300\0\2\1",		11, 0 },
	{ "\6\0\31\0\0\0\5"
	  "\376\200\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 23, 0 },
	{ "\0\0\31\0\0\0\0",			7, -1 },  /* port of none */
	{ "\0\0\0\0\0\0\1",			7, -1 },  /* scope of none */
	{ "\4\0\31\0\0\0\1\300\0\2\1",		11, -1 }, /* scope of IPv4 */
	{ "\2\0\31\0\0\0\0\300\0\2\1",		11, -1 }, /* AF_INET is ours */
	{ "\5\0\31\0\0\0\0\300\0\2\1",		11, -1 },
	{ "\377\0\31\0\0\0\0\300\0\2\1",	11, -1 },
	{ "\4\0\31\0\0\0\0\300\0\2",		10, -1 },
	{ "\4\0\31\0\0\0\0\300\0\2\1\0",	12, -1 },
	{ "\6\0\31\0\0\0\5\376\200",		9, -1 },
	{ "\6",					1, -1 },
	{ "",					0, -1 }
};

START_TEST(address_forms)
{
	struct msg_reader	r;
	struct msg_writer	w;
	struct addr		a;
	struct msg		m;

	memset(&m, 0, sizeof(m));
	m.data = (const uint8_t *)addresses[_i].wire;
	m.len = addresses[_i].len;
	msg_reader_init(&r, &m);
	msg_addr(&r, &a);
	ck_assert_int_eq(msg_done(&r), addresses[_i].rc);
	if (addresses[_i].rc == -1)
		return;
	/* One value, one form. */
	msg_start(&w, 1, 0);
	msg_put_addr(&w, &a);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_uint_eq(w.used, MSG_HEADER + m.len);
	ck_assert_mem_eq(w.data + MSG_HEADER, m.data, m.len);
}
END_TEST

START_TEST(address_of_no_family)
{
	struct msg_writer	w;
	struct addr		a;

	memset(&a, 0, sizeof(a));
	a.family = AF_UNIX;
	msg_start(&w, 1, 0);
	msg_put_addr(&w, &a);
	ck_assert_int_eq(msg_finish(&w), -1);
}
END_TEST

/* --- The writer's end --- */

START_TEST(full)
{
	static uint8_t		zeros[MSG_MAX + 1];
	struct msg_writer	w;

	msg_start(&w, 1, 0);
	msg_put_octets(&w, zeros, MSG_MAX - MSG_HEADER - 2);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_uint_eq(w.used, MSG_MAX);
	ck_assert_uint_eq(w.data[2], MSG_MAX >> 8);
	ck_assert_uint_eq(w.data[3], MSG_MAX & 0xff);
	msg_put_u8(&w, 0);
	ck_assert_int_eq(msg_finish(&w), -1);
	ck_assert_uint_eq(w.used, MSG_MAX);

	msg_start(&w, 1, 0);		/* usable again */
	ck_assert_int_eq(msg_finish(&w), 0);
	msg_put_octets(&w, zeros, MSG_MAX - MSG_HEADER - 1);
	ck_assert_int_eq(msg_finish(&w), -1);
	msg_start(&w, 1, 0);
	msg_put_octets(&w, zeros, MSG_MAX + 1);
	msg_put_u8(&w, 1);		/* what fits does not count either */
	ck_assert_int_eq(msg_finish(&w), -1);
}
END_TEST

/* --- Header --- */

START_TEST(header)
{
	static uint8_t	data[MSG_MAX + 1];
	struct msg	m;
	size_t		len;

	data[3] = MSG_HEADER;
	for (len = 0; len < MSG_HEADER; len++)
		ck_assert_int_eq(msg_parse_header(&m, data, len), -1);
	ck_assert_int_eq(msg_parse_header(&m, data, MSG_HEADER), 0);
	ck_assert_uint_eq(m.len, 0);
	ck_assert_int_eq(msg_parse_header(&m, data, MSG_HEADER + 1), -1);
	data[2] = MSG_MAX >> 8;
	data[3] = MSG_MAX & 0xff;
	ck_assert_int_eq(msg_parse_header(&m, data, MSG_MAX), 0);
	ck_assert_int_eq(msg_parse_header(&m, data, MSG_MAX - 1), -1);
	data[3]++;
	ck_assert_int_eq(msg_parse_header(&m, data, MSG_MAX + 1), -1);
}
END_TEST

/* --- Descriptors --- */

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

START_TEST(descriptors)
{
	struct msg	m;
	int		fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	memset(&m, 0, sizeof(m));
	m.nfds = 2;
	m.fd[0] = fd[0];
	m.fd[1] = fd[1];
	ck_assert_int_eq(msg_take_fd(&m, 0), fd[0]);
	ck_assert_int_eq(msg_take_fd(&m, 0), -1);	/* once */
	ck_assert_int_eq(msg_take_fd(&m, 2), -1);	/* none there */
	msg_close_fds(&m);
	ck_assert(is_open(fd[0]));
	ck_assert(!is_open(fd[1]));
	msg_close_fds(&m);
	ck_assert(is_open(fd[0]));
	(void)close(fd[0]);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("msg");
	TCase	*tc = tcase_create("msg");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, octets);
	tcase_add_test(tc, back);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_loop_test(tc, string_forms, 0, NROWS(strings));
	tcase_add_loop_test(tc, address_forms, 0, NROWS(addresses));
	tcase_add_test(tc, address_of_no_family);
	tcase_add_test(tc, full);
	tcase_add_test(tc, header);
	tcase_add_test(tc, descriptors);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
