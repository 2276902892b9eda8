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
static void	 parse_forward(const struct parse_head *,
		    const struct parse_list *, int,
		    const struct parse_number *);
static void	 parse_intercept(const struct parse_head *, enum conf_forward,
		    const struct lex_word *, const struct lex_word *);
static void	 parse_starttls(enum conf_starttls);
static void	 parse_on_failure(enum conf_failure);
static void	 parse_mechs(const struct parse_list *);

#define WHY	(&p.why)
%}

%union {
	struct lex_word		 word;
	struct parse_number	 number;
	struct parse_list	*list;
	struct parse_head	 head;
	int			 value;
}

%token	INCLUDE TABLE RELAY WORKERS USER CHROOT HOSTNAME
%token	LISTEN ON PORT FORWARD TO TIMEOUT PREGREET REJECT ALLOW
%token	NEWLINES NORMALIZE
%token	PASSVERB AUTHMECHS
%token	DIVERT TRANSPARENT NAT LOOKUP DESTINATION ONLY EXCEPT BYPASS FROM
%token	STARTTLS PASS HIDE ONFAILURE REPLY RESET MARK
%token	BAD LATER FILE_END
%token	<value>		LIMIT SIZE_LIMIT
%token	<word>		STRING BLOCK
%type	<number>	number size port
%type	<list>		words values
%type	<list>		host
%type	<word>		stage only except
%type	<head>		forward
%type	<value>		divert

%%

grammar		: /* empty */
		| grammar '\n'
		| grammar FILE_END
		| grammar INCLUDE STRING '\n'	{ parse_include(&$3); }
		| grammar macro '\n'
		| grammar global '\n'
		| grammar limit '\n'
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

limit		: LIMIT number			{
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
		;

stage		: STRING			{ $$ = $1; }
		| BLOCK				{ $$ = $1; }
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
		| relay_body limit '\n'
		| relay_body error '\n'		{ yyerrok; parse_recovered(); }
		;

relay_end	: '}'
		| relay_opt '}'
		| limit '}'
		;

relay_opt	: LISTEN ON STRING port divert	{
			(void)parse_check(conf_add_listener(p.conf, p.relay,
			    $3.text, $4.n, $5, $3.place, WHY), &$3.place, WHY);
		}
		| forward host port		{
			parse_forward(&$1, $2, 0, &$3);
		}
		| forward '<' host '>' port	{
			parse_forward(&$1, $3, 1, &$5);
		}
		| forward '{' optnl words '}' port	{
			parse_forward(&$1, $4, 0, &$6);
		}
		| forward NAT LOOKUP only except	{
			parse_intercept(&$1, FORWARD_NAT, &$4, &$5);
		}
		| forward DESTINATION only except	{
			parse_intercept(&$1, FORWARD_DESTINATION, &$3, &$4);
		}
		| BYPASS FROM '<' STRING '>'	{
			(void)parse_check(conf_set_bypass(p.relay, $4.text,
			    $4.place, WHY), &$4.place, WHY);
		}
		| STARTTLS PASS	{ parse_starttls(STARTTLS_PASS); }
		| STARTTLS HIDE	{ parse_starttls(STARTTLS_HIDE); }
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
		| PASSVERB STRING		{
			(void)parse_check(conf_add_pass_verb(p.relay, $2.text,
			    WHY), &$2.place, WHY);
		}
		| AUTHMECHS '{' optnl words '}'	{ parse_mechs($4); }
		;

divert		: /* empty */			{ $$ = 0; }
		| DIVERT			{ $$ = 1; }
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
	[WORD_ALLOW] = ALLOW,
	[WORD_AUTH_MECHANISMS] = AUTHMECHS,
	[WORD_BLOCK] = BLOCK,
	[WORD_BYPASS] = BYPASS,
	[WORD_CHROOT] = CHROOT,
	[WORD_DESTINATION] = DESTINATION,
	[WORD_DIVERT] = DIVERT,
	[WORD_EXCEPT] = EXCEPT,
	[WORD_FORWARD] = FORWARD,
	[WORD_FROM] = FROM,
	[WORD_HIDE] = HIDE,
	[WORD_HOSTNAME] = HOSTNAME,
	[WORD_INCLUDE] = INCLUDE,
	[WORD_LIMIT] = LIMIT,
	[WORD_LISTEN] = LISTEN,
	[WORD_LOOKUP] = LOOKUP,
	[WORD_MARK] = MARK,
	[WORD_NAT] = NAT,
	[WORD_ON] = ON,
	[WORD_ONLY] = ONLY,
	[WORD_ON_FAILURE] = ONFAILURE,
	[WORD_PASS] = PASS,
	[WORD_PASS_VERB] = PASSVERB,
	[WORD_PORT] = PORT,
	[WORD_PREGREET] = PREGREET,
	[WORD_STRICT_NEWLINES] = NEWLINES,
	[WORD_NORMALIZE] = NORMALIZE,
	[WORD_REJECT] = REJECT,
	[WORD_RELAY] = RELAY,
	[WORD_REPLY] = REPLY,
	[WORD_RESET] = RESET,
	[WORD_SIZE_LIMIT] = SIZE_LIMIT,
	[WORD_STARTTLS] = STARTTLS,
	[WORD_TABLE] = TABLE,
	[WORD_TIMEOUT] = TIMEOUT,
	[WORD_TO] = TO,
	[WORD_TRANSPARENT] = TRANSPARENT,
	[WORD_USER] = USER,
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

static int
parse_transparent(const struct parse_head *head)
{
	return parse_check(conf_set_transparent(p.relay, head->is_transparent,
	    head->place, WHY), &head->place, WHY);
}

static void
parse_forward(const struct parse_head *head, const struct parse_list *list,
    int is_table, const struct parse_number *port)
{
	if (parse_transparent(head) == -1)
		return;
	for (; list != NULL; list = list->next)
		(void)parse_check(conf_add_destination(p.relay,
		    list->word.text, is_table, port->n, list->word.place,
		    WHY), &list->word.place, WHY);
}

static void
parse_intercept(const struct parse_head *head, enum conf_forward forward,
    const struct lex_word *only, const struct lex_word *except)
{
	if (parse_transparent(head) == 0)
		(void)parse_check(conf_set_intercept(p.relay, forward,
		    only->text, except->text, head->place, WHY), &head->place,
		    WHY);
}

static void
parse_starttls(enum conf_starttls starttls)
{
	(void)parse_check(conf_set_starttls(p.relay, starttls, WHY),
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
