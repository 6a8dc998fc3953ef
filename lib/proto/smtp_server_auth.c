/* AUTH: RFC 4954. Base 64, limits and order are seen to here; what the octets mean is the
 * application's business. */

#include "proto/smtp_server_inside.h"

#include "base/base64.h"

struct str smtp_server_mechanisms(const struct smtp_server *s)
{
	if (!(s->o.extensions & SMTP_EXT_AUTH))
		return STR_NONE;
	return s->is_tls ? s->o.mechanisms : s->o.mechanisms_in_clear;
}

static bool is_offered(const struct smtp_server *s, struct str mechanism)
{
	struct str rest = smtp_server_mechanisms(s), word;

	while (str_token(&rest, STR(" "), &word))
		if (str_ieq_ascii(word, mechanism))
			return true;
	return false;
}

static void bad_base64(struct smtp_server *s)
{
	smtp_server_say_error(s, 501, STATUS(5, 5, 2), STR("that is no base 64"));
}

static void ask_auth(struct smtp_server *s, struct str mechanism, struct str initial)
{
	struct smtp_server_event q = { .kind = SMTP_SERVER_AUTH,
				       .verb = SMTP_VERB_AUTH,
				       .argument = mechanism,
				       .response = STR(""),
				       .has_response = initial.n > 0 };

	/* RFC 4954 section 4: "=" is the empty one */
	if (initial.n > 0 && !str_eq(initial, STR("=")) &&
	    !base64_decode(smtp_server_line_arena(s), initial, &q.response))
		bad_base64(s);
	else
		smtp_server_ask(s, q);
}

/* False: it was answered. */
static bool may_auth(struct smtp_server *s)
{
	if (smtp_server_mechanisms(s).n == 0 && s->o.mechanisms.n > 0 && !s->is_tls)
		smtp_server_say_error(s, 538, STATUS(5, 7, 11), STR("not before STARTTLS"));
	else if (smtp_server_mechanisms(s).n == 0)
		smtp_server_bad_sequence(s, STR("no authentication here"));
	else if (s->hello == SMTP_VERB_UNKNOWN || s->hello == SMTP_VERB_HELO)
		smtp_server_bad_sequence(s, STR("EHLO comes first"));
	else if (s->is_authenticated)
		smtp_server_bad_sequence(s, STR("you are authenticated already"));
	else if (s->has_mail)
		smtp_server_bad_sequence(s, STR("not within a transaction"));
	else
		return true;
	return false;
}

void smtp_server_take_auth(struct smtp_server *s, struct smtp_command c)
{
	struct str rest = c.argument, mechanism = STR_NONE, initial = STR_NONE, more;

	if (!may_auth(s))
		return;
	if (!str_token(&rest, STR(" "), &mechanism) ||
	    (str_token(&rest, STR(" "), &initial) && str_token(&rest, STR(" "), &more)))
		smtp_server_bad_argument(s, STR("AUTH mechanism [response]"));
	else if (!is_offered(s, mechanism))
		smtp_server_say_error(s, 504, STATUS(5, 5, 4), STR("unknown mechanism"));
	else
		ask_auth(s, mechanism, initial);
}

void smtp_server_take_response(struct smtp_server *s, struct str line)
{
	struct smtp_server_event q = { .kind = SMTP_SERVER_AUTH_RESPONSE, .has_response = true };

	s->state = SERVER_COMMANDS;
	s->owes_auth_drop = true;
	if (str_eq(line, STR("*")))
		smtp_server_say_error(s, 501, STATUS(5, 7, 0), STR("cancelled, as you wish"));
	else if (!base64_decode(smtp_server_line_arena(s), line, &q.response))
		bad_base64(s);
	else {
		s->owes_auth_drop = false;
		smtp_server_ask(s, q);
	}
}

void smtp_server_challenge(struct smtp_server *s, struct str octets, uint64_t now)
{
	bool is_auth = s->question.kind == SMTP_SERVER_AUTH ||
		       s->question.kind == SMTP_SERVER_AUTH_RESPONSE;

	CHECK(is_auth && s->is_told);
	s->now = now;
	s->question.kind = SMTP_SERVER_NOTHING;
	s->state = SERVER_AUTH;
	smtp_server_say(s, 334, STATUS(0, 0, 0), base64_encode(smtp_server_line_arena(s), octets));
	smtp_server_rearm(s);
}
