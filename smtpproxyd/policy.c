/*
 * Policy: what the settings of a relay refuse.  Part of the engine's layer:
 * plain values in, a verdict out, so that each rule is one row of a test.
 */
#include "policy.h"

const char *
policy_refusal(const struct policy_settings *set,
    const struct policy_facts *f)
{
	switch (f->stage) {
	case POLICY_MAIL:
	case POLICY_MESSAGE:
		if (set->max_message_size != 0 &&
		    f->size > set->max_message_size)
			return "552 5.3.4 message too big";
		return NULL;
	case POLICY_RCPT:
		if (set->max_recipients != 0 &&
		    f->nrcpt >= set->max_recipients)
			return "452 4.5.3 too many recipients";
		return NULL;
	case POLICY_CONNECT:
	case POLICY_HELO:
	case POLICY_DATA:
		return NULL;
	}
	return NULL;
}
