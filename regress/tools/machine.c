/*
 * Print the session machine as a page: the table of smtp_engine.c as it was
 * compiled, and the moves that the tests hold it to (unit/engine_moves.h).
 *
 * usage: machine >regress/MACHINE.md
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "../unit/engine_moves.h"

struct about {
	const char	*name;
	const char	*text;
};

static const char *const	about_state[SMTP_STATES] = {
	[SMTP_GREETING] = "nothing may come before the greeting",
	[SMTP_COMMAND] = "commands are read",
	[SMTP_HELD] = "a command waits for all replies before it",
	[SMTP_ASKED] = "a question is open; what follows is held",
	[SMTP_WAIT] = "a reply is due; what follows is held",
	[SMTP_WAIT_STRICT] = "a reply is due, and nothing may follow before it",
	[SMTP_AUTH] = "a line that answers a 334",
	[SMTP_CONTENT] = "DATA, up to CRLF.CRLF",
	[SMTP_CHUNK] = "BDAT, counted octets",
	[SMTP_SKIP_CONTENT] = "refused content, read and dropped; the "
	    "destination is closed",
	[SMTP_SKIP_CHUNK] = "a refused chunk, read and dropped",
	[SMTP_TLS_FIRST] = "220 to STARTTLS is out; the client's handshake "
	    "comes first",
	[SMTP_TLS] = "our 220 to STARTTLS is out; a handshake is under way, "
	    "and nothing in clear counts",
	[SMTP_OPAQUE] = "octets pass unread, both ways",
	[SMTP_LAST] = "all is said, the destination is closed; one more "
	    "command is answered",
	[SMTP_OVER] = "nothing is read any more; replies that are due still "
	    "come"
};

static const struct about	about_step[] = {
	{ "smtp_client_early", "octets before the greeting: held, refused "
	    "unless the relay allows them" },
	{ "smtp_client_command", "takes a command line: answered here, asked "
	    "about, held, or sent on" },
	{ "smtp_client_hold", "takes nothing; the octets stay where they "
	    "are" },
	{ "smtp_client_held", "the same, but octets behind a STARTTLS that "
	    "ends here are improper pipelining: the session ends" },
	{ "smtp_tls_octets", "octets in clear: injection, the session ends" },
	{ "smtp_client_asked", "the same, but octets behind a DATA are "
	    "improper pipelining: the session ends" },
	{ "smtp_client_strict", "improper pipelining: the session ends" },
	{ "smtp_client_auth", "a line of an AUTH exchange goes on unread" },
	{ "smtp_client_last", "one more command is answered, QUIT with 221 "
	    "and all else with 421" },
	{ "smtp_client_drop", "drops what comes" },
	{ "smtp_content_feed", "content goes on in place; its end is held "
	    "until it may go" },
	{ "smtp_content_feed_chunk", "the octets of a chunk, likewise" },
	{ "smtp_content_skip", "drops refused content up to its end" },
	{ "smtp_content_skip_chunk", "drops the octets of a refused chunk" },
	{ "smtp_opaque_first", "the first two octets must be a TLS "
	    "handshake" },
	{ "smtp_opaque_injected", "octets behind a 220 to STARTTLS: both are "
	    "closed" },
	{ "smtp_opaque_client", "octets pass to the destination" },
	{ "smtp_opaque_client_end", "the end is passed on; over when both "
	    "ends have come" },
	{ "smtp_opaque_dest", "octets pass to the client" },
	{ "smtp_opaque_dest_end", "the end is passed on; over when both ends "
	    "have come" },
	{ "smtp_dest_greeting", "the greeting goes to the client, or the "
	    "next destination is tried" },
	{ "smtp_dest_reply", "the oldest outstanding command's reply" },
	{ "smtp_dest_early", "a reply before the content was complete: a "
	    "command's before it, or a refusal" },
	{ "smtp_dest_ignore", "nobody hears it" },
	{ "smtp_dest_gone", "the oldest outstanding command gets 421, then "
	    "the end" },
	{ "smtp_dest_gone_content", "the rest of the message is dropped, "
	    "then a refusal" },
	{ "smtp_dest_next", "the next destination is tried" },
	{ "engine_end_now", "the session ends" },
	{ "engine_end_later", "what was read is served, then it ends" },
	{ "engine_end_auth", "the session ends inside AUTH" },
	{ "engine_end_content", "the message is not complete: the "
	    "destination is closed without its end" },
	{ "engine_end_skip", "no more will come of what is dropped: the "
	    "refusal is said" }
};
#define NABOUT	(sizeof(about_step) / sizeof(about_step[0]))

static const char	head[] =
"# The session machine\n"
"\n"
"Printed by `make machine` from the table in `smtpproxyd/smtp_engine.c` and\n"
"from the moves in `regress/unit/engine_moves.h`; `make lint` compares.\n"
"\n"
"A state says what the client's next octets are.  A session begins in\n"
"*greeting*, with a bypass in *opaque*.  Every pair of a state and an event\n"
"has one step.  Behind the step stand the states that may follow once all\n"
"that comes of it is done (an answered question, a held command whose turn\n"
"it is).  `unit/test_smtp_machine.c` makes each of these moves; a test or an\n"
"input of the fuzzer that makes another one fails.\n"
"\n"
"From any state a client that is lost, no destination left, a failure of\n"
"our own, want of memory and the total times (session, message) lead to\n"
"*over*, and nowhere else.\n";

static unsigned int
name_states(uint32_t mask, char *text, size_t size)
{
	unsigned int	s, n = 0;
	size_t		used = 0;

	text[0] = '\0';
	for (s = 0; s < SMTP_STATES; s++) {
		if ((mask & TO(s)) == 0)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s",
		    n++ == 0 ? "" : ", ", smtp_state_name(s));
		if (used >= size)
			errx(1, "too many states");
	}
	return n;
}

static void
print_states(void)
{
	unsigned int	s;

	(void)printf("\n## States\n\n| state | the client's octets |\n"
	    "|---|---|\n");
	for (s = 0; s < SMTP_STATES; s++)
		(void)printf("| %s | %s |\n", smtp_state_name(s),
		    about_state[s]);
}

static void
print_matrix(void)
{
	char		text[512];
	unsigned int	s, event;

	(void)printf("\n## States and events\n\n| state |");
	for (event = 0; event < SMTP_EVENTS; event++)
		(void)printf(" %s |", smtp_event_name(event));
	(void)printf("\n|---|---|---|---|---|\n");
	for (s = 0; s < SMTP_STATES; s++) {
		(void)printf("| **%s** |", smtp_state_name(s));
		for (event = 0; event < SMTP_EVENTS; event++)
			(void)printf(" `%s`: %s |",
			    smtp_machine[s][event].name,
			    name_states(moves[s][event], text,
			    sizeof(text)) > 0 ? text :
			    "*can't be, the destination is closed*");
		(void)printf("\n");
	}
}

static void
print_others(void)
{
	char		text[512];
	unsigned int	s, cause;

	(void)printf("\n## What else changes the state\n\n"
	    "No steps of the table: an answer to a question, the time "
	    "(`smtp_wait.c`),\na stop of the program, octets that left, a "
	    "bypass, the outcome of a TLS handshake,\nand octets of the "
	    "destination that are no reply.\n\n"
	    "| state | cause | leads to |\n|---|---|---|\n");
	for (s = 0; s < SMTP_STATES; s++)
		for (cause = SMTP_EVENTS; cause < MOVE_TABLE; cause++)
			if (name_states(moves[s][cause], text,
			    sizeof(text)) > 0)
				(void)printf("| %s | %s | %s |\n",
				    smtp_state_name(s),
				    move_cause_name(cause), text);
}

/* Where a step may lead, wherever it stands; 0: it stands nowhere. */
static uint32_t
step_leads_to(const char *name, unsigned int *nplaces)
{
	uint32_t	mask = 0;
	unsigned int	s, event;

	*nplaces = 0;
	for (s = 0; s < SMTP_STATES; s++)
		for (event = 0; event < SMTP_EVENTS; event++)
			if (strcmp(smtp_machine[s][event].name, name) == 0) {
				mask |= moves[s][event];
				(*nplaces)++;
			}
	return mask;
}

static void
print_steps(void)
{
	char		text[512];
	unsigned int	nplaces, nall = 0;
	size_t		i;
	uint32_t	mask;

	(void)printf("\n## Steps\n\n| step | what it does | may lead to |\n"
	    "|---|---|---|\n");
	for (i = 0; i < NABOUT; i++) {
		mask = step_leads_to(about_step[i].name, &nplaces);
		if (nplaces == 0)
			errx(1, "%s: not in the table", about_step[i].name);
		nall += nplaces;
		(void)printf("| `%s` | %s | %s |\n", about_step[i].name,
		    about_step[i].text, name_states(mask, text,
		    sizeof(text)) > 0 ? text : "-");
	}
	if (nall != SMTP_STATES * SMTP_EVENTS)
		errx(1, "a step of the table has no text here");
}

/* Names in the diagram have no hyphen. */
static void
print_name(unsigned int s)
{
	const char	*c;

	for (c = smtp_state_name(s); *c != '\0'; c++)
		(void)putchar(*c == '-' ? '_' : *c);
}

static void
print_arrow(unsigned int from, unsigned int to)
{
	unsigned int	cause, n = 0;

	for (cause = 0; cause < MOVE_TABLE; cause++) {
		if ((moves[from][cause] & TO(to)) == 0)
			continue;
		if (n++ == 0) {
			(void)printf("    ");
			print_name(from);
			(void)printf(" --> ");
			print_name(to);
		}
		(void)printf("%s %s", n == 1 ? ":" : ",",
		    move_cause_name(cause));
	}
	if (n > 0)
		(void)printf("\n");
}

/* One arrow for each two states, with all that makes it. */
static void
print_diagram(void)
{
	unsigned int	s, to;

	(void)printf("\n## Diagram\n\nWithout the ways to *over*, which "
	    "every state has.\n\n```mermaid\nstateDiagram-v2\n"
	    "    [*] --> greeting\n    over --> [*]\n");
	for (s = 0; s < SMTP_STATES; s++)
		for (to = 0; to < SMTP_OVER; to++)
			if (to != s)
				print_arrow(s, to);
	(void)printf("```\n");
}

int
main(void)
{
	(void)fputs(head, stdout);
	print_states();
	print_matrix();
	print_others();
	print_steps();
	print_diagram();
	return 0;
}
