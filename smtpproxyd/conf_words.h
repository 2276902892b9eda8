#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include "conf.h"

/*
 * The keywords of the configuration: where each may begin a line, how such a
 * line reads, and what is said of one that does not read so.
 */
enum conf_word {
	WORD_LATER = 0,			/* a later version's */
	WORD_ADD_HEADER,
	WORD_ALLOW,
	WORD_AUTH_MECHANISMS,
	WORD_BLOCK,			/* a later version's, and a stage */
	WORD_BYPASS,
	WORD_CA,
	WORD_CERT,
	WORD_CHROOT,
	WORD_DESTINATION,
	WORD_DIVERT,
	WORD_EXCEPT,
	WORD_FORWARD,
	WORD_FROM,
	WORD_HIDE,
	WORD_HOSTNAME,
	WORD_IDENTITY,
	WORD_IDENTITY_KIND,
	WORD_INCLUDE,
	WORD_KEY,
	WORD_LIMIT,
	WORD_LISTEN,
	WORD_LOOKUP,
	WORD_MARK,
	WORD_NAT,
	WORD_NO_VERIFY,
	WORD_ON,
	WORD_ONLY,
	WORD_ON_FAILURE,
	WORD_OPPORTUNISTIC,
	WORD_OTHERS,
	WORD_PASS,			/* likewise, and of starttls */
	WORD_PASS_VERB,
	WORD_PKI,
	WORD_PLAIN,
	WORD_PORT,
	WORD_PREGREET,
	WORD_PROXY_PROTOCOL,
	WORD_STRICT_NEWLINES,
	WORD_NORMALIZE,
	WORD_REJECT,
	WORD_RELAY,
	WORD_REPLY,
	WORD_RESET,
	WORD_SIZE_LIMIT,
	WORD_SMTPS,
	WORD_STARTTLS,
	WORD_TABLE,
	WORD_TERMINATE,
	WORD_TIMEOUT,
	WORD_TLS,
	WORD_TLS_CIPHERS,
	WORD_TLS_PROTOCOLS,
	WORD_TLS_REQUIRE,
	WORD_TO,
	WORD_TRACE,
	WORD_TRANSPARENT,
	WORD_USER,
	WORD_VERIFY,
	WORD_WORKERS,
	WORDS
};

enum conf_where {
	WHERE_INSIDE = 0,		/* never the first word of a line */
	WHERE_TOP = 1,			/* begins a line outside relays */
	WHERE_RELAY = 2,		/* begins a line in a relay */
	WHERE_BOTH = 3
};

struct conf_keyword {
	const char	*name;
	enum conf_word	 word;
	int		 value;		/* enum conf_limit, of limits; enum
					 * conf_identity, of its kinds */
	enum conf_where	 where;
	const char	*usage;		/* NULL: a later version's */
};

/* NULL: none of that name. */
const struct conf_keyword	*conf_keyword(const char *);

/* A word that can't stand where it stands. */
struct conf_syntax {
	const char			*text;	/* "\n"; NULL: the end */
	const struct conf_keyword	*keyword;	/* NULL: none */
	const char			*first;	/* word of the line */
	const struct conf_keyword	*statement;	/* it is that one */
	int				 is_first;	/* both are one */
	int				 is_in_relay;
};

/* Say what is wrong, and what was expected.  Always -1. */
int	conf_syntax_error(const struct conf_syntax *, struct conf_why *);

#endif
