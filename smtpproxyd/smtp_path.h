#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Arguments of MAIL and RCPT: "FROM:<path> [parameters]" (RFC 5321 4.1.2, RFC
 * 6531 3.3).  Nothing is rewritten, the line goes on as it came; this reads
 * what limits, policy and the log need.  What most servers take is taken (a
 * space behind the colon, an address without angle brackets, a source route,
 * 8-bit octets, dots side by side in a local part, no domain at all): the
 * destination decides.  What can't be read is refused with 501, because the
 * proxy and the destination must not read two different envelopes.
 */
struct smtp_path {
	const uint8_t	*addr;		/* between the brackets, without a
					 * source route; borrowed */
	size_t		 addrlen;	/* 0: "<>", null reverse-path */
	const uint8_t	*params;	/* behind the path; borrowed */
	size_t		 paramslen;
};

enum smtp_path_kind {
	PATH_FROM,			/* "<>" is allowed */
	PATH_TO
};

#define SMTP_PATH_MAX	256		/* octets with brackets and route */

/*
 * arg: as smtp_cmd gives it.  Local part: words of atoms and quoted strings;
 * domain, if any: labels or an address literal.  Of the lengths of RFC 5321
 * 4.5.3.1 only the path's is held: a local part over 64 octets passes.
 * Parameters are held to their syntax, whatever they are.
 *   returns   0, or -1
 */
int	smtp_path_parse(struct smtp_path *, enum smtp_path_kind,
	    const uint8_t *arg, size_t len);

/*
 * The parameters one by one: "keyword[=value]" separated by spaces; a value
 * may hold a '=' (RFC 5321 4.1.2 has it encoded, not all clients do).
 *   returns   1 with the next one, 0 at the end, -1 when it is malformed
 */
struct smtp_param {
	const uint8_t	*name;
	size_t		 namelen;
	const uint8_t	*value;		/* NULL: no '=' */
	size_t		 valuelen;
};
struct smtp_params {
	const uint8_t	*next;
	size_t		 left;
};
void	smtp_params_init(struct smtp_params *, const struct smtp_path *);
int	smtp_params_next(struct smtp_params *, struct smtp_param *);

/* What of MAIL's parameters the engine itself needs. */
enum smtp_body {
	BODY_NONE = 0,
	BODY_7BIT,
	BODY_8BITMIME,
	BODY_BINARYMIME
};
struct smtp_mail_facts {
	uint64_t	size;		/* SIZE=, RFC 1870; 0: not said */
	enum smtp_body	body;		/* BODY=, RFC 6152, RFC 3030 */
	int		is_smtputf8;	/* RFC 6531 */
	int		is_requiretls;	/* RFC 8689 */
};
/*
 *   returns   0; -1 when any parameter is malformed, or one of these stands
 *             twice or has no value that it may have (SIZE above 2^63-1, an
 *             unknown BODY=, SMTPUTF8=x)
 */
int	smtp_mail_facts(struct smtp_mail_facts *, const struct smtp_path *);

#endif
