/*
 * The grammar of smtpproxyd.conf(5).  Runs in the parent, as root, on words
 * of the lexer; actions only hand values to conf_set_*() and conf_add_*(),
 * which check them.  A line that is wrong is said and skipped, so that all
 * errors of a file come in one go.
 */
%{
#include <stdlib.h>
#include <string.h>

#include "conf_lex.h"
#include "conf_parse.h"
#include "conf_words.h"

struct parse_list {
	struct lex_word		 word;
	struct parse_list	*next;
	struct parse_list	*last;		/* in the first one */
};

struct parse_number {
	int64_t			 n;
	struct conf_place	 place;
};

/* What listen on, forward to and starttls terminate say of TLS. */
struct parse_server {
	enum conf_tls			 mode;
	enum conf_tls_verify		 verify;
	const struct parse_list		*pkis;
	const char			*ca;	/* NULL: none */
};

struct parse_client {
	enum conf_dest_tls		 mode;
	int				 is_implicit;
	const char			*ca;
};

struct parse_proxied {
	const char			*table;	/* NULL: none */
	int				 allows_plain;
};

static const struct parse_server	no_server;
static const struct parse_client	no_client;
static const struct parse_proxied	no_proxied;

/* How a forward line begins. */
struct parse_head {
	int			 is_transparent;
	struct conf_place	 place;
};

static struct {
	struct conf			*conf;
	struct conf_lex			*lex;
	conf_say_fn			*say;
	void				*say_arg;
	int				 nerrors;
	struct conf_relay		*relay;	/* whose block it is, or NULL */
	/* The token that was read last, and where it stood. */
	int				 token;
	struct lex_word			 word;
	const struct conf_keyword	*keyword;
	int				 is_first;	/* of its line */
	/* How the line began. */
	const struct conf_keyword	*statement;
	struct lex_word			 first;
	int				 is_next_first;
	int				 is_recovering;
	int				 nest;	/* braces that are open */
	struct conf_why			 why;	/* of the action that runs */
} p;

int		 yyparse(void);
static int	 yylex(void);
static void	 yyerror(const char *);
static void	 parse_recovered(void);
static int	 parse_check(int, const struct conf_place *,
		    const struct conf_why *);
static int	 parse_read(int (*)(const char *, int64_t *,
		    struct conf_why *), const struct lex_word *,
		    struct parse_number *);
static struct conf_limits *parse_limits(void);
static struct parse_list *parse_list_add(struct parse_list *,
		    const struct lex_word *);
static void	 parse_include(const struct lex_word *);
static void	 parse_macro(const struct lex_word *,
		    const struct parse_list *);
static void	 parse_table(const struct lex_word *,
		    const struct parse_list *);
static int	 parse_relay(const struct lex_word *);
static void	 parse_relay_end(void);
static void	 parse_listen(const struct lex_word *,
		    const struct parse_number *, int,
		    const struct parse_server *, const struct parse_proxied *);
static void	 parse_forward(const struct parse_head *,
		    const struct parse_list *, int,
		    const struct parse_number *, const struct parse_client *);
static void	 parse_intercept(const struct parse_head *, enum conf_forward,
		    const struct lex_word *, const struct lex_word *,
		    const struct parse_client *);
static void	 parse_starttls(enum conf_starttls);
static void	 parse_terminate(const struct parse_list *, int,
		    const char *);
static void	 parse_pki(const struct lex_word *, int,
		    const struct lex_word *);
static void	 parse_protocols(const struct parse_list *);
static void	 parse_on_failure(enum conf_failure);
static void	 parse_mechs(const struct parse_list *);

#define WHY	(&p.why)
%}

%union {
	struct lex_word		 word;
	struct parse_number	 number;
	struct parse_list	*list;
	struct parse_head	 head;
	struct parse_server	 server;
	struct parse_client	 client;
	struct parse_proxied	 proxied;
	const char		*text;
	int			 value;
}

%token	INCLUDE TABLE RELAY WORKERS USER CHROOT HOSTNAME
%token	LISTEN ON PORT FORWARD TO TIMEOUT PREGREET REJECT ALLOW
%token	NEWLINES NORMALIZE
%token	PASSVERB AUTHMECHS
%token	DIVERT TRANSPARENT NAT LOOKUP DESTINATION ONLY EXCEPT BYPASS FROM
%token	STARTTLS PASS HIDE ONFAILURE REPLY RESET MARK
%token	PKI CERT KEY CA TLSREQUIRE SMTPS VERIFY NOVERIFY OPPORTUNISTIC
%token	TERMINATE TLSPROTOCOLS TLSCIPHERS
%token	PROXYPROTOCOL OTHERS IDENTITY ADDHEADER TRACE
%token	BAD LATER FILE_END
%token	<value>		LIMIT SIZE_LIMIT
%token	<word>		STRING BLOCK PLAIN TLS IDENTITYKIND
%type	<number>	number size port
%type	<list>		words values mechs pkis
%type	<list>		host
%type	<word>		stage mech verb only except
%type	<head>		forward
%type	<server>	server servermode
%type	<client>	client clientmode
%type	<proxied>	proxied
%type	<text>		ca
%type	<value>		divert verify noverify plain

%%

grammar		: /* empty */
		| grammar '\n'
		| grammar FILE_END
		| grammar INCLUDE STRING '\n'	{ parse_include(&$3); }
		| grammar macro '\n'
		| grammar global '\n'
		| grammar setting '\n'
		| grammar pki '\n'
		| grammar table '\n'
		| grammar relay '\n'
		| grammar error '\n'		{ yyerrok; parse_recovered(); }
		;

optnl		: /* empty */
		| optnl '\n'
		;

comma		: /* empty */
		| ',' optnl
		;

words		: STRING optnl			{
			if (($$ = parse_list_add(NULL, &$1)) == NULL)
				YYABORT;
		}
		| words comma STRING optnl	{
			if (($$ = parse_list_add($1, &$3)) == NULL)
				YYABORT;
		}
		;

values		: STRING			{
			if (($$ = parse_list_add(NULL, &$1)) == NULL)
				YYABORT;
		}
		| values STRING			{
			if (($$ = parse_list_add($1, &$2)) == NULL)
				YYABORT;
		}
		;

number		: STRING			{
			if (parse_read(conf_read_number, &$1, &$$) == -1)
				YYERROR;
		}
		;

size		: STRING			{
			if (parse_read(conf_read_size, &$1, &$$) == -1)
				YYERROR;
		}
		;

port		: PORT STRING			{
			if (parse_read(conf_read_port, &$2, &$$) == -1)
				YYERROR;
		}
		;

macro		: STRING '=' values		{ parse_macro(&$1, $3); }
		;

global		: WORKERS number		{
			(void)parse_check(conf_set_workers(p.conf, $2.n, WHY),
			    &$2.place, WHY);
		}
		| USER STRING			{
			(void)parse_check(conf_set_user(p.conf, $2.text, WHY),
			    &$2.place, WHY);
		}
		| CHROOT STRING			{
			(void)parse_check(conf_set_chroot(p.conf, $2.text,
			    WHY), &$2.place, WHY);
		}
		| HOSTNAME STRING		{
			(void)parse_check(conf_set_hostname(p.conf, $2.text,
			    WHY), &$2.place, WHY);
		}
		;

pki		: PKI STRING CERT STRING	{ parse_pki(&$2, 0, &$4); }
		| PKI STRING KEY STRING		{ parse_pki(&$2, 1, &$4); }
		;

setting		: LIMIT number			{
			(void)parse_check(conf_set_limit(parse_limits(),
			    (enum conf_limit)$1, $2.n, WHY), &$2.place, WHY);
		}
		| SIZE_LIMIT size		{
			(void)parse_check(conf_set_limit(parse_limits(),
			    (enum conf_limit)$1, $2.n, WHY), &$2.place, WHY);
		}
		| TIMEOUT stage number		{
			(void)parse_check(conf_set_timeout(parse_limits(),
			    $2.text, $3.n, WHY), &$2.place, WHY);
		}
		| TLSPROTOCOLS '{' optnl words '}' { parse_protocols($4); }
		| TLSCIPHERS STRING		{
			(void)parse_check(conf_set_tls_ciphers(p.conf,
			    p.relay, $2.text, $2.place, WHY), &$2.place, WHY);
		}
		;

stage		: STRING			{ $$ = $1; }
		| BLOCK				{ $$ = $1; }
		| TLS				{ $$ = $1; }
		;

table		: TABLE '<' STRING '>' '{' optnl '}'	{
			parse_table(&$3, NULL);
		}
		| TABLE '<' STRING '>' '{' optnl words '}' {
			parse_table(&$3, $7);
		}
		;

relay		: relay_head relay_body relay_end	{ parse_relay_end(); }
		;

relay_head	: RELAY STRING optnl '{'	{
			if (parse_relay(&$2) == -1)
				YYABORT;
		}
		| RELAY error '{'		{
			yyerrok;
			if (parse_relay(NULL) == -1)
				YYABORT;
		}
		| RELAY error '\n'		{
			yyerrok;
			if (parse_relay(NULL) == -1)
				YYABORT;
		}
		;

relay_body	: /* empty */
		| relay_body '\n'
		| relay_body relay_opt '\n'
		| relay_body setting '\n'
		| relay_body error '\n'		{ yyerrok; parse_recovered(); }
		;

relay_end	: '}'
		| relay_opt '}'
		| setting '}'
		;

relay_opt	: LISTEN ON STRING port divert server proxied	{
			parse_listen(&$3, &$4, $5, &$6, &$7);
		}
		| forward host port client	{
			parse_forward(&$1, $2, 0, &$3, &$4);
		}
		| forward '<' host '>' port client	{
			parse_forward(&$1, $3, 1, &$5, &$6);
		}
		| forward '{' optnl words '}' port client	{
			parse_forward(&$1, $4, 0, &$6, &$7);
		}
		| forward NAT LOOKUP only except client	{
			parse_intercept(&$1, FORWARD_NAT, &$4, &$5, &$6);
		}
		| forward DESTINATION only except client	{
			parse_intercept(&$1, FORWARD_DESTINATION, &$3, &$4,
			    &$5);
		}
		| BYPASS FROM '<' STRING '>'	{
			(void)parse_check(conf_set_bypass(p.relay, $4.text,
			    $4.place, WHY), &$4.place, WHY);
		}
		| STARTTLS PASS	{ parse_starttls(STARTTLS_PASS); }
		| STARTTLS HIDE	{ parse_starttls(STARTTLS_HIDE); }
		| STARTTLS TERMINATE pkis noverify ca	{
			parse_terminate($3, $4, $5);
		}
		| IDENTITY IDENTITYKIND		{
			(void)parse_check(conf_set_identity(p.relay,
			    (enum conf_identity)conf_keyword($2.text)->value,
			    p.first.place, WHY), &p.first.place, WHY);
		}
		| ADDHEADER TRACE		{
			(void)parse_check(conf_set_trace(p.relay, WHY),
			    &p.first.place, WHY);
		}
		| ONFAILURE REPLY	{ parse_on_failure(ON_FAILURE_REPLY); }
		| ONFAILURE RESET	{ parse_on_failure(ON_FAILURE_RESET); }
		| MARK number			{
			(void)parse_check(conf_set_mark(p.relay, $2.n, WHY),
			    &$2.place, WHY);
		}
		| NEWLINES REJECT		{
			(void)parse_check(conf_set_newlines(p.relay,
			    NEWLINES_REJECT, WHY), &p.first.place, WHY);
		}
		| NEWLINES NORMALIZE		{
			(void)parse_check(conf_set_newlines(p.relay,
			    NEWLINES_NORMALIZE, WHY), &p.first.place, WHY);
		}
		| PREGREET REJECT		{
			(void)parse_check(conf_set_pregreet(p.relay,
			    PREGREET_REJECT, WHY), &p.first.place, WHY);
		}
		| PREGREET ALLOW		{
			(void)parse_check(conf_set_pregreet(p.relay,
			    PREGREET_ALLOW, WHY), &p.first.place, WHY);
		}
		| PASSVERB verb			{
			(void)parse_check(conf_add_pass_verb(p.relay, $2.text,
			    WHY), &$2.place, WHY);
		}
		| AUTHMECHS '{' optnl mechs '}'	{ parse_mechs($4); }
		;

verb		: STRING			{ $$ = $1; }
		| IDENTITYKIND			{ $$ = $1; }
		;

mech		: STRING			{ $$ = $1; }
		| PLAIN				{ $$ = $1; }
		;

mechs		: mech optnl			{
			if (($$ = parse_list_add(NULL, &$1)) == NULL)
				YYABORT;
		}
		| mechs comma mech optnl	{
			if (($$ = parse_list_add($1, &$3)) == NULL)
				YYABORT;
		}
		;

divert		: /* empty */			{ $$ = 0; }
		| DIVERT			{ $$ = 1; }
		;

server		: /* empty */			{ $$ = no_server; }
		| servermode pkis ca		{
			$$ = $1;
			$$.pkis = $2;
			$$.ca = $3;
		}
		;

servermode	: TLS verify			{
			$$.mode = TLS_OFFER;
			$$.verify = $2 ? TLS_VERIFY_ASK : TLS_VERIFY_OFF;
		}
		| TLSREQUIRE verify		{
			$$.mode = TLS_REQUIRE;
			$$.verify = $2 ? TLS_VERIFY_REQUIRE : TLS_VERIFY_OFF;
		}
		| SMTPS verify			{
			$$.mode = TLS_IMPLICIT;
			$$.verify = $2 ? TLS_VERIFY_ASK : TLS_VERIFY_OFF;
		}
		| SMTPS TLSREQUIRE verify	{
			$$.mode = TLS_IMPLICIT;
			$$.verify = $3 ? TLS_VERIFY_REQUIRE : TLS_VERIFY_OFF;
		}
		;

verify		: /* empty */			{ $$ = 0; }
		| VERIFY			{ $$ = 1; }
		;

pkis		: PKI STRING			{
			if (($$ = parse_list_add(NULL, &$2)) == NULL)
				YYABORT;
		}
		| pkis PKI STRING		{
			if (($$ = parse_list_add($1, &$3)) == NULL)
				YYABORT;
		}
		;

ca		: /* empty */			{ $$ = NULL; }
		| CA STRING			{ $$ = $2.text; }
		;

proxied		: /* empty */			{ $$ = no_proxied; }
		| PROXYPROTOCOL FROM '<' STRING '>' plain	{
			$$.table = $4.text;
			$$.allows_plain = $6;
		}
		;

plain		: /* empty */			{ $$ = 0; }
		| OTHERS PLAIN			{ $$ = 1; }
		;

client		: /* empty */			{ $$ = no_client; }
		| clientmode ca			{
			$$ = $1;
			$$.ca = $2;
		}
		;

clientmode	: TLS noverify			{
			$$.mode = $2 ? DEST_TLS_NO_VERIFY : DEST_TLS_VERIFY;
			$$.is_implicit = 0;
		}
		| TLS OPPORTUNISTIC		{
			$$.mode = DEST_TLS_OPPORTUNISTIC;
			$$.is_implicit = 0;
		}
		| SMTPS noverify		{
			$$.mode = $2 ? DEST_TLS_NO_VERIFY : DEST_TLS_VERIFY;
			$$.is_implicit = 1;
		}
		;

noverify	: /* empty */			{ $$ = 0; }
		| NOVERIFY			{ $$ = 1; }
		;

forward		: FORWARD TO			{
			$$.is_transparent = 0;
			$$.place = p.first.place;
		}
		| TRANSPARENT FORWARD TO	{
			$$.is_transparent = 1;
			$$.place = p.first.place;
		}
		;

host		: STRING			{
			if (($$ = parse_list_add(NULL, &$1)) == NULL)
				YYABORT;
		}
		;

only		: /* empty */			{ $$.text = NULL; }
		| ONLY '<' STRING '>'		{ $$ = $3; }
		;

except		: /* empty */			{ $$.text = NULL; }
		| EXCEPT '<' STRING '>'		{ $$ = $3; }
		;

%%

static const int	tokens[WORDS] = {
	[WORD_LATER] = LATER,
	[WORD_ADD_HEADER] = ADDHEADER,
	[WORD_ALLOW] = ALLOW,
	[WORD_AUTH_MECHANISMS] = AUTHMECHS,
	[WORD_BLOCK] = BLOCK,
	[WORD_BYPASS] = BYPASS,
	[WORD_CA] = CA,
	[WORD_CERT] = CERT,
	[WORD_CHROOT] = CHROOT,
	[WORD_DESTINATION] = DESTINATION,
	[WORD_DIVERT] = DIVERT,
	[WORD_EXCEPT] = EXCEPT,
	[WORD_FORWARD] = FORWARD,
	[WORD_FROM] = FROM,
	[WORD_HIDE] = HIDE,
	[WORD_HOSTNAME] = HOSTNAME,
	[WORD_IDENTITY] = IDENTITY,
	[WORD_IDENTITY_KIND] = IDENTITYKIND,
	[WORD_INCLUDE] = INCLUDE,
	[WORD_KEY] = KEY,
	[WORD_LIMIT] = LIMIT,
	[WORD_LISTEN] = LISTEN,
	[WORD_LOOKUP] = LOOKUP,
	[WORD_MARK] = MARK,
	[WORD_NAT] = NAT,
	[WORD_NO_VERIFY] = NOVERIFY,
	[WORD_ON] = ON,
	[WORD_ONLY] = ONLY,
	[WORD_ON_FAILURE] = ONFAILURE,
	[WORD_OPPORTUNISTIC] = OPPORTUNISTIC,
	[WORD_OTHERS] = OTHERS,
	[WORD_PASS] = PASS,
	[WORD_PASS_VERB] = PASSVERB,
	[WORD_PKI] = PKI,
	[WORD_PLAIN] = PLAIN,
	[WORD_PORT] = PORT,
	[WORD_PREGREET] = PREGREET,
	[WORD_PROXY_PROTOCOL] = PROXYPROTOCOL,
	[WORD_STRICT_NEWLINES] = NEWLINES,
	[WORD_NORMALIZE] = NORMALIZE,
	[WORD_REJECT] = REJECT,
	[WORD_RELAY] = RELAY,
	[WORD_REPLY] = REPLY,
	[WORD_RESET] = RESET,
	[WORD_SIZE_LIMIT] = SIZE_LIMIT,
	[WORD_SMTPS] = SMTPS,
	[WORD_STARTTLS] = STARTTLS,
	[WORD_TABLE] = TABLE,
	[WORD_TERMINATE] = TERMINATE,
	[WORD_TIMEOUT] = TIMEOUT,
	[WORD_TLS] = TLS,
	[WORD_TLS_CIPHERS] = TLSCIPHERS,
	[WORD_TLS_PROTOCOLS] = TLSPROTOCOLS,
	[WORD_TLS_REQUIRE] = TLSREQUIRE,
	[WORD_TO] = TO,
	[WORD_TRACE] = TRACE,
	[WORD_TRANSPARENT] = TRANSPARENT,
	[WORD_USER] = USER,
	[WORD_VERIFY] = VERIFY,
	[WORD_WORKERS] = WORKERS
};

/* Braces that are open where a line of the current block begins. */
static int
parse_base(void)
{
	return p.relay == NULL ? 0 : 1;
}

/* Words, and what each token means for the braces and the line. */
static int
parse_token(enum lex_token token)
{
	switch (token) {
	case LEX_END:
		return 0;
	case LEX_FILE_END:
		/* A block must end in its file: the rest can't be judged. */
		return p.nest > 0 ? 0 : FILE_END;
	case LEX_NEWLINE:
		return '\n';
	case LEX_CHAR:
		if (p.word.text[0] == '{')
			p.nest++;
		else if (p.word.text[0] == '}' && p.nest > 0)
			p.nest--;
		return p.word.text[0];
	case LEX_WORD:
		p.keyword = conf_keyword(p.word.text);
		return p.keyword == NULL ? STRING : tokens[p.keyword->word];
	case LEX_QUOTED:
		return STRING;
	case LEX_BAD:
		break;
	}
	return BAD;
}

static int
yylex(void)
{
	do {
		p.keyword = NULL;
		p.token = parse_token(conf_lex_next(p.lex, &p.word));
		/* A broken list is skipped up to the brace that ends it. */
	} while (p.token == '\n' && p.is_recovering && p.nest > parse_base());
	p.is_first = p.is_next_first;
	if (p.is_first) {
		p.first = p.word;
		p.statement = p.keyword;
	}
	/* The brace of a relay may stand on the next line. */
	p.is_next_first = p.token == '\n' && p.nest <= parse_base() &&
	    (p.statement == NULL || p.statement->word != WORD_RELAY);
	if (p.token == LIMIT || p.token == SIZE_LIMIT)
		yylval.value = p.keyword->value;
	else
		yylval.word = p.word;
	return p.token;
}

/* A relay or a line of it is known to be broken: no error follows from it. */
static void
parse_say(const struct conf_place *place, const struct conf_why *why)
{
	p.say(p.say_arg, place, why->text);
	p.nerrors++;
	if (p.relay != NULL)
		p.relay->is_broken = 1;
}

static int
parse_check(int rc, const struct conf_place *place,
    const struct conf_why *why)
{
	if (rc == -1)
		parse_say(place, why);
	return rc;
}

static void
yyerror(const char *msg)
{
	struct conf_syntax	syn;
	struct conf_why		why;

	p.is_recovering = 1;
	if (p.token == BAD) {
		if (p.relay != NULL)
			p.relay->is_broken = 1;
		return;			/* the lexer has said it */
	}
	syn.text = p.token == 0 ? NULL : p.token == '\n' ? "\n" :
	    p.word.text;
	syn.keyword = p.keyword;
	syn.first = p.first.text;
	syn.statement = p.statement;
	syn.is_first = p.is_first;
	syn.is_in_relay = p.relay != NULL;
	if (strcmp(msg, "syntax error") == 0)
		(void)conf_syntax_error(&syn, &why);
	else
		(void)conf_fail(&why, "%s", msg);
	parse_say(&p.word.place, &why);
}

static void
parse_recovered(void)
{
	p.is_recovering = 0;
	p.is_next_first = 1;
	p.nest = parse_base();
}

static int
parse_read(int (*read_fn)(const char *, int64_t *, struct conf_why *),
    const struct lex_word *w, struct parse_number *to)
{
	int64_t	n;

	if (parse_check(read_fn(w->text, &n, WHY), &w->place, WHY) == -1) {
		p.is_recovering = 1;
		return -1;
	}
	to->n = n;
	to->place = w->place;
	return 0;
}

static struct conf_limits *
parse_limits(void)
{
	return p.relay == NULL ? &p.conf->limits : &p.relay->limits;
}

/* Out of memory is said, and is NULL. */
static struct parse_list *
parse_list_add(struct parse_list *list, const struct lex_word *w)
{
	struct parse_list	*item;

	if ((item = conf_lex_alloc(p.lex, sizeof(*item))) == NULL) {
		(void)parse_check(conf_fail(WHY, "out of memory"), &w->place,
		    WHY);
		return NULL;
	}
	item->word = *w;
	if (list == NULL)
		list = item;
	else
		list->last->next = item;
	list->last = item;
	return list;
}

static void
parse_include(const struct lex_word *w)
{
	(void)parse_check(conf_input_include(conf_lex_input(p.lex), w->text,
	    WHY), &w->place, WHY);
}

/* Several words are kept as one text: it is read again where it is used. */
static void
parse_macro(const struct lex_word *name, const struct parse_list *values)
{
	char	text[LEX_WORD_MAX] = "";

	for (; values != NULL; values = values->next) {
		if (text[0] != '\0')
			(void)strlcat(text, " ", sizeof(text));
		if (strlcat(text, values->word.text, sizeof(text)) <
		    sizeof(text))
			continue;
		(void)conf_fail(WHY, "the value of macro %s is too long, "
		    "expected below %d octets", name->text, LEX_WORD_MAX);
		parse_say(&values->word.place, WHY);
		return;
	}
	(void)parse_check(conf_lex_set_macro(p.lex, name->text, text, 0, WHY),
	    &name->place, WHY);
}

static void
parse_table(const struct lex_word *name, const struct parse_list *list)
{
	struct conf_table	*t;

	t = conf_add_table(p.conf, name->text, name->place, WHY);
	if (t == NULL) {
		parse_say(&name->place, WHY);
		return;
	}
	for (; list != NULL; list = list->next)
		if (parse_check(conf_add_table_entry(t, list->word.text,
		    list->word.place, WHY), &list->word.place, WHY) == -1)
			t->is_broken = 1;
}

/* name NULL: the line was wrong, and that is said already. */
static int
parse_relay(const struct lex_word *name)
{
	const struct conf_place	*place = &p.first.place;
	struct conf_relay	*r = NULL;

	if (name != NULL) {
		place = &name->place;
		if ((r = conf_add_relay(p.conf, name->text, *place,
		    WHY)) == NULL)
			parse_say(place, WHY);
	}
	if (r == NULL && (r = conf_add_relay(p.conf, NULL, *place,
	    WHY)) == NULL)
		return parse_check(-1, place, WHY);
	p.relay = r;
	parse_recovered();
	return 0;
}

static void
parse_relay_end(void)
{
	p.relay = NULL;
	p.first = p.word;		/* the brace: what follows is wrong */
	p.statement = NULL;
}

/* The names of pkis, each checked in its place. */
static void
parse_pkis(struct conf_tls_server *s, const struct parse_list *list)
{
	for (; list != NULL; list = list->next)
		(void)parse_check(conf_add_server_pki(s, list->word.text,
		    list->word.place, WHY), &list->word.place, WHY);
}

static void
parse_listen(const struct lex_word *host, const struct parse_number *port,
    int is_divert, const struct parse_server *server,
    const struct parse_proxied *proxied)
{
	struct conf_listener	*l;

	if (parse_check(conf_add_listener(p.conf, p.relay, host->text,
	    port->n, is_divert, host->place, WHY), &host->place, WHY) == -1)
		return;
	l = conf_last_listener(p.relay);
	(void)parse_check(conf_set_server_tls(&l->tls, server->mode,
	    server->verify, server->ca, WHY), &host->place, WHY);
	parse_pkis(&l->tls, server->pkis);
	(void)parse_check(conf_set_proxied(l, proxied->table,
	    proxied->allows_plain, host->place, WHY), &host->place, WHY);
}

static int
parse_transparent(const struct parse_head *head)
{
	return parse_check(conf_set_transparent(p.relay, head->is_transparent,
	    head->place, WHY), &head->place, WHY);
}

static void
parse_forward(const struct parse_head *head, const struct parse_list *list,
    int is_table, const struct parse_number *port,
    const struct parse_client *client)
{
	if (parse_transparent(head) == -1 ||
	    parse_check(conf_set_forward_tls(p.relay, client->mode,
	    client->is_implicit, client->ca, WHY), &head->place, WHY) == -1)
		return;
	for (; list != NULL; list = list->next)
		(void)parse_check(conf_add_destination(p.relay,
		    list->word.text, is_table, port->n, list->word.place,
		    WHY), &list->word.place, WHY);
}

static void
parse_intercept(const struct parse_head *head, enum conf_forward forward,
    const struct lex_word *only, const struct lex_word *except,
    const struct parse_client *client)
{
	if (parse_transparent(head) == 0 &&
	    parse_check(conf_set_intercept(p.relay, forward, only->text,
	    except->text, head->place, WHY), &head->place, WHY) == 0)
		(void)parse_check(conf_set_forward_tls(p.relay, client->mode,
		    client->is_implicit, client->ca, WHY), &head->place, WHY);
}

static void
parse_starttls(enum conf_starttls starttls)
{
	(void)parse_check(conf_set_starttls(p.relay, starttls, p.first.place,
	    WHY), &p.first.place, WHY);
}

static void
parse_terminate(const struct parse_list *pkis, int is_unverified,
    const char *ca)
{
	if (parse_check(conf_set_starttls(p.relay, STARTTLS_TERMINATE,
	    p.first.place, WHY), &p.first.place, WHY) == -1)
		return;
	(void)parse_check(conf_set_terminate(p.relay, is_unverified ?
	    DEST_TLS_NO_VERIFY : DEST_TLS_VERIFY, ca, WHY), &p.first.place,
	    WHY);
	parse_pkis(&p.relay->terminate, pkis);
}

static void
parse_pki(const struct lex_word *name, int is_key,
    const struct lex_word *path)
{
	(void)parse_check(conf_set_pki(p.conf, name->text, is_key, path->text,
	    name->place, WHY), &name->place, WHY);
}

static void
parse_protocols(const struct parse_list *list)
{
	unsigned int	bits = 0;

	for (; list != NULL; list = list->next)
		if (parse_check(conf_read_tls_protocol(list->word.text, &bits,
		    WHY), &list->word.place, WHY) == -1)
			return;
	(void)parse_check(conf_set_tls_protocols(p.conf, p.relay, bits, WHY),
	    &p.first.place, WHY);
}

static void
parse_on_failure(enum conf_failure on_failure)
{
	(void)parse_check(conf_set_on_failure(p.relay, on_failure, WHY),
	    &p.first.place, WHY);
}

static void
parse_mechs(const struct parse_list *list)
{
	for (; list != NULL; list = list->next)
		(void)parse_check(conf_add_auth_mech(p.relay, list->word.text,
		    WHY), &list->word.place, WHY);
}

int
conf_parse(struct conf *conf, struct conf_lex *lex, conf_say_fn *say,
    void *say_arg)
{
	int	rc, nerrors;

	memset(&p, 0, sizeof(p));
	p.conf = conf;
	p.lex = lex;
	p.say = say;
	p.say_arg = say_arg;
	p.is_next_first = 1;
	rc = yyparse();
	nerrors = p.nerrors + conf_lex_nerrors(lex);
	memset(&p, 0, sizeof(p));
	return rc != 0 && nerrors == 0 ? 1 : nerrors;
}
