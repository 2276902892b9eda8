/*
 * One step of the machine.  Part of the engine, and a file of its own so that
 * a test can have another in its place and see each step that is made.
 */
#include "smtp_machine.h"

void
smtp_step(struct smtp_engine *e, enum smtp_event event, struct smtp_input *i)
{
	smtp_machine[e->state][event].fn(e, i);
	smtp_settle(e);
}
