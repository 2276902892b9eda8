/*
 * Message content: any cut of a stream passes the same octets and ends in the
 * same way as a reader that sees the whole of it says (ref_data.h), with both
 * scans.
 *
 * Input: one octet that says what to do (0x01: chunks, 0x02: binary), one that
 * seeds cut and chunk sizes, then the stream.
 */

#include "../../smtpproxyd/smtp_data.h"

#include "../../smtpproxyd/smtp_scan.h"
#include "fuzz.h"
#include "ref_data.h"

#define FLAG_CHUNKS	1
#define FLAG_BINARY	2

/* What came out. */
struct run {
	struct smtp_data	d;
	enum smtp_data_result	result;
	struct fuzz_log		pass;
	size_t			taken;
};

static void
run_add(struct run *run, const struct smtp_data_span *span,
    const uint8_t *piece, size_t len)
{
	HOLDS(span->taken <= len && span->pass <= span->taken);
	HOLDS(span->nfront <= sizeof(span->front));
	fuzz_log_add(&run->pass, span->front, span->nfront);
	fuzz_log_add(&run->pass, piece, span->pass);
	run->taken += span->taken;
}

static void
run_data(struct run *run, const uint8_t *in, size_t len, uint32_t seed,
    int normalize)
{
	struct smtp_data_span	span;
	struct fuzz_cut		cut = { seed, in, len, NULL };
	size_t			n;

	memset(run, 0, sizeof(*run));
	smtp_data_start(&run->d, normalize);
	while (run->result == SMTP_DATA_MORE && (n = fuzz_next(&cut)) > 0) {
		run->result = smtp_data_feed(&run->d, cut.piece, n, &span);
		run_add(run, &span, cut.piece, n);
		/* What was not taken comes again. */
		cut.in -= n - span.taken;
		cut.left += n - span.taken;
		if (!normalize)
			HOLDS(run->d.size == run->pass.used);
		if (run->result == SMTP_DATA_MORE)
			HOLDS(span.taken == n ||
			    (normalize && span.taken > 0));
	}
	free(cut.piece);
}

/* What a client still sends after a fault is dropped up to CRLF.CRLF. */
static void
check_skip(struct run *run, const uint8_t *in, size_t len, uint32_t seed)
{
	struct fuzz_cut		cut = { seed, in, len, NULL };
	enum smtp_data_result	r = SMTP_DATA_MORE;
	size_t			n, taken, end;

	end = ref_data_skip(in, len);
	cut.in += run->taken;
	cut.left -= run->taken;
	while (r == SMTP_DATA_MORE && (n = fuzz_next(&cut)) > 0) {
		r = smtp_data_skip(&run->d, cut.piece, n, &taken);
		HOLDS(taken <= n && (r == SMTP_DATA_END || taken == n));
		run->taken += taken;
	}
	free(cut.piece);
	HOLDS((r == SMTP_DATA_END) == (end != 0));
	HOLDS(run->taken == (end == 0 ? len : end));
}

static void
check_normal(const uint8_t *in, size_t len, uint32_t seed)
{
	struct ref_data	 ref;
	struct run	 run;
	uint8_t		*want;
	size_t		 n;

	if ((want = malloc(2 * len + 1)) == NULL)
		abort();
	n = ref_normal(&ref, in, len, want);
	run_data(&run, in, len, seed, 1);
	HOLDS(run.result == ref.result);
	HOLDS(run.pass.used == n);
	HOLDS(n == 0 || memcmp(run.pass.text, want, n) == 0);
	HOLDS(run.taken == ref.taken || (run.taken == ref.taken + 1 &&
	    run.result == SMTP_DATA_BARE_CR && run.d.state == DATA_CR));
	if (run.result == SMTP_DATA_END)
		HOLDS(run.d.size == ref.taken - 3);
	else if (run.result != SMTP_DATA_MORE)
		check_skip(&run, in, len, seed);
	fuzz_log_clear(&run.pass);
	free(want);
}

static void
check_data(const uint8_t *in, size_t len, uint32_t seed)
{
	struct ref_data	ref;
	struct run	run;

	check_normal(in, len, seed);
	ref_data(&ref, in, len);
	run_data(&run, in, len, seed, 0);
	HOLDS(run.result == ref.result);
	HOLDS(run.pass.used == ref.pass);
	HOLDS(ref.pass == 0 || memcmp(run.pass.text, in, ref.pass) == 0);
	HOLDS(run.taken == ref.taken || (run.taken == ref.taken + 1 &&
	    run.result == SMTP_DATA_BARE_CR && run.d.state == DATA_CR));
	if (run.result > SMTP_DATA_END)
		check_skip(&run, in, len, seed);
	fuzz_log_clear(&run.pass);
}

/*
 * The whole as chunks of random sizes, the last one LAST.  Without a fault all
 * passes but the last octet; the first fault is the one that is found.
 */
static void
run_chunks(struct run *run, const uint8_t *in, size_t len, int is_binary,
    uint32_t seed)
{
	struct smtp_data_span	span;
	struct fuzz_cut		cut;
	uint32_t		sizes = seed;
	size_t			at = 0, size, n;
	int			is_last;

	memset(run, 0, sizeof(*run));
	do {
		size = fuzz_random(&sizes) % (len - at + 1);
		/* With an odd seed a LAST of no octets stands behind all. */
		is_last = size == len - at && (size == 0 || seed % 2 == 0);
		smtp_data_start_chunk(&run->d, size, at == 0, is_last,
		    is_binary);
		cut = (struct fuzz_cut){ seed, in + at, size, NULL };
		do {
			n = fuzz_next(&cut);
			run->result = smtp_data_feed_chunk(&run->d, cut.piece,
			    n, &span);
			run_add(run, &span, cut.piece, n);
			HOLDS(run->d.size == run->taken);
		} while (run->result == SMTP_DATA_MORE);
		free(cut.piece);
		at += size;
	} while (run->result == SMTP_DATA_END && !is_last);
}

/* A whole message in chunks: where is its first fault? */
static enum smtp_data_result
ref_chunks(const uint8_t *in, size_t len, size_t *at)
{
	*at = ref_scan(in, len, 0, 0);
	if (*at == len)
		return SMTP_DATA_END;
	if (in[*at] == '\r')
		return SMTP_DATA_BARE_CR;
	return in[*at] == '\n' ? SMTP_DATA_BARE_LF : SMTP_DATA_NUL;
}

static void
check_chunks(const uint8_t *in, size_t len, int is_binary, uint32_t seed)
{
	enum smtp_data_result	want;
	struct run		run;
	size_t			at = len, taken;

	want = is_binary ? SMTP_DATA_END : ref_chunks(in, len, &at);
	run_chunks(&run, in, len, is_binary, seed);
	HOLDS(run.result == want);
	HOLDS(run.pass.used <= len && (run.pass.used == 0 ||
	    memcmp(run.pass.text, in, run.pass.used) == 0));
	if (want == SMTP_DATA_END)
		/* A LAST of size 0 has no last octet to keep back. */
		HOLDS(run.taken == len && (run.pass.used == len ||
		    run.pass.used + 1 == len));
	else
		HOLDS(run.pass.used == run.taken && (run.taken == at ||
		    (run.taken == at + 1 && want == SMTP_DATA_BARE_CR)));
	if (want != SMTP_DATA_END) {
		HOLDS(smtp_data_skip_chunk(&run.d, SIZE_MAX, &taken) ==
		    SMTP_DATA_END);
		HOLDS(run.taken + taken <= len && run.d.left == 0);
	}
	fuzz_log_clear(&run.pass);
}

static void
check_scan(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	size_t	want = ref_scan(in, len, at_start, find_dots);

	HOLDS(smtp_scan(in, len, at_start, find_dots) == want);
	HOLDS(smtp_scan_portable(in, len, at_start, find_dots) == want);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	uint32_t	seed;
	int		flags;

	if (len < 2)
		return 0;
	flags = in[0];
	seed = in[1] + 2U;
	in += 2;
	len -= 2;
	check_scan(in, len, flags & 1, flags & 2);
	if ((flags & FLAG_CHUNKS) != 0) {
		check_chunks(in, len, flags & FLAG_BINARY, seed);
		return 0;
	}
	check_data(in, len, 0);
	check_data(in, len, 1);
	check_data(in, len, seed);
	return 0;
}
