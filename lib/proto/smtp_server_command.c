/* What each command asks, and what its acceptance changes. RFC 5321 sections 4.1.1 and 4.1.4. */

#include "proto/smtp_server_inside.h"

#include <stdlib.h>
#include <string.h>

#include "mail/domain.h"

unsigned smtp_server_announced(const struct smtp_server *s)
{
	/* RFC 3207 section 4.2; RFC 8689 section 2. */
	unsigned not_now = s->is_tls ? SMTP_EXT_STARTTLS | SMTP_EXT_GARBLED : SMTP_EXT_REQUIRETLS;

	if (smtp_server_mechanisms(s).n == 0)
		not_now |= SMTP_EXT_AUTH;
	return s->o.extensions & ~not_now & ~(unsigned)SMTP_EXT_EHLO;
}

static bool is_esmtp(const struct smtp_server *s)
{
	return s->hello == SMTP_VERB_EHLO || s->hello == SMTP_VERB_LHLO;
}

void smtp_server_forget_transaction(struct smtp_server *s)
{
	s->owes_drop = s->owes_drop || s->has_mail;
	s->has_mail = s->is_chunking = s->has_failed_chunks = false;
	s->n_rcpts = 0;
	s->mail = (struct smtp_command_mail){ .body = SMTP_BODY_UNSAID };
}

void smtp_server_bad_sequence(struct smtp_server *s, struct str what)
{
	smtp_server_say_error(s, 503, STATUS(5, 5, 1), what);
}

void smtp_server_bad_argument(struct smtp_server *s, struct str what)
{
	smtp_server_say_error(s, 501, STATUS(5, 5, 4), what);
}

/* HELO, EHLO, LHLO. */

static bool is_verb_of_dialect(const struct smtp_server *s, enum smtp_verb v)
{
	return (v == SMTP_VERB_LHLO) == (s->o.dialect == SMTP_DIALECT_LMTP);
}

static void take_hello(struct smtp_server *s, struct smtp_command c)
{
	if (!is_verb_of_dialect(s, c.verb)) {
		smtp_server_say_error(s, 500, STATUS(5, 5, 1), STR("not in this protocol"));
		return;
	}
	if (c.argument.n == 0) {
		smtp_server_bad_argument(s, STR("say who you are"));
		return;
	}
	smtp_server_forget_transaction(s);
	smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_HELO,
						       .verb = c.verb,
						       .argument = c.argument });
}

static struct smtp_reply hello_reply(struct smtp_server *s)
{
	struct arena *a = smtp_server_line_arena(s);
	struct str text = s->o.hostname;
	unsigned announced = smtp_server_announced(s) | (s->is_tls ? 0 : s->o.out_of_place);

	for (unsigned bit = 1; s->question.verb != SMTP_VERB_HELO && bit != 0; bit <<= 1) {
		struct str name = smtp_extension_name(announced & bit);
		if (name.n == 0)
			continue;
		text = arena_fmt(a, STR_FMT "\n" STR_FMT, STR_ARG(text), STR_ARG(name));
		if (bit == SMTP_EXT_SIZE && s->o.size_limit > 0)
			text = arena_fmt(a, STR_FMT " %llu", STR_ARG(text),
					 (unsigned long long)s->o.size_limit);
		if (bit == SMTP_EXT_AUTH)
			text = arena_fmt(a, STR_FMT " " STR_FMT, STR_ARG(text),
					 STR_ARG(smtp_server_mechanisms(s)));
	}
	return (struct smtp_reply){ .code = 250, .text = text };
}

/* STARTTLS: RFC 3207. What was sent behind the command came in the clear and would be believed
 * inside TLS (CVE-2011-0411). */

static void take_starttls(struct smtp_server *s, struct smtp_command c)
{
	if (!(s->o.extensions & SMTP_EXT_STARTTLS)) {
		smtp_server_say_error(s, 502, STATUS(5, 5, 1), STR("no TLS here"));
	} else if (s->is_tls) {
		smtp_server_bad_sequence(s, STR("TLS is up already"));
	} else if (c.argument.n > 0) {
		smtp_server_bad_argument(s, STR("STARTTLS takes no parameter"));
	} else if (buf_len(&s->input) > 0) {
		smtp_server_say(s, 421, STATUS(4, 7, 0), STR("octets behind STARTTLS"));
		smtp_server_close(s, STR("the peer sent octets behind STARTTLS in the clear"));
	} else {
		smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_STARTTLS });
	}
}

static void begin_tls(struct smtp_server *s)
{
	smtp_server_forget_transaction(s);
	if (buf_len(&s->input) > 0) { /* before our 220: no ClientHello is due yet */
		buf_reset(&s->output);
		smtp_server_say(s, 421, STATUS(4, 7, 0), STR("octets behind STARTTLS"));
		smtp_server_close(s, STR("the peer sent octets behind STARTTLS in the clear"));
		return;
	}
	s->state = SERVER_TLS;
	s->owes_start_tls = true;
}

/* MAIL and RCPT. */

static void say_fault(struct smtp_server *s, enum smtp_command_fault f, bool is_sender)
{
	switch (f) {
	case SMTP_COMMAND_OK:
		return;
	case SMTP_COMMAND_NO_FROM:
		smtp_server_bad_argument(s, is_sender ? STR("MAIL FROM:<path>")
						      : STR("RCPT TO:<path>"));
		return;
	case SMTP_COMMAND_BAD_PATH:
		smtp_server_say_error(s, 501, STATUS(5, 1, is_sender ? 7 : 3), STR("bad path"));
		return;
	case SMTP_COMMAND_PATH_TOO_LONG:
		smtp_server_say_error(s, 501, STATUS(5, 1, is_sender ? 7 : 3),
				      STR("the path is too long"));
		return;
	case SMTP_COMMAND_BAD_PARAMETER:
		smtp_server_bad_argument(s, STR("bad parameter value"));
		return;
	case SMTP_COMMAND_TWICE:
		smtp_server_bad_argument(s, STR("the same parameter twice"));
		return;
	case SMTP_COMMAND_UNKNOWN_PARAMETER: /* RFC 5321 section 4.1.1.11 */
		smtp_server_say_error(s, 555, STATUS(5, 5, 4), STR("unknown parameter"));
		return;
	case SMTP_COMMAND_NO_DOMAIN:
		smtp_server_say_error(s, 501, STATUS(5, 1, is_sender ? 7 : 3),
				      STR("the address has no domain"));
		return;
	case SMTP_COMMAND_NEEDS_SMTPUTF8: /* RFC 6531 section 3.5 */
		smtp_server_say_error(s, is_sender ? 550 : 553, STATUS(5, 6, 7),
				      STR("the address needs SMTPUTF8"));
		return;
	}
}

static bool is_taken(const struct smtp_server *s, enum smtp_command_fault f)
{
	return f == SMTP_COMMAND_OK || (f == SMTP_COMMAND_NO_DOMAIN && s->o.takes_bare_names);
}

static struct smtp_command_mail copy_mail(struct arena *a, struct smtp_command_mail m)
{
	m.sender = arena_str(a, m.sender);
	m.ret = arena_str(a, m.ret);
	m.envid = arena_str(a, m.envid);
	m.auth = arena_str(a, m.auth);
	return m;
}

static void take_mail(struct smtp_server *s, struct smtp_command c)
{
	struct smtp_command_mail m;
	unsigned extensions = is_esmtp(s) ? smtp_server_announced(s) : 0;

	if (s->hello == SMTP_VERB_UNKNOWN && !s->o.is_helo_optional) {
		smtp_server_bad_sequence(s, STR("say who you are first"));
		return;
	}
	if (s->has_mail) {
		smtp_server_bad_sequence(s, STR("one MAIL at a time"));
		return;
	}
	enum smtp_command_fault f = smtp_command_parse_mail(c.argument, extensions, &m);
	if (!is_taken(s, f)) {
		say_fault(s, f, true);
		return;
	}
	s->has_failed_chunks = false;
	if (s->o.size_limit > 0 && m.size_octets > s->o.size_limit) { /* RFC 1870 section 6.1 */
		smtp_server_say(s, 552, STATUS(5, 3, 4), STR("the message is too big"));
		return;
	}
	arena_free(s->transaction);
	s->transaction = arena_new();
	s->mail = copy_mail(s->transaction, m);
	smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_MAIL, .mail = s->mail });
}

static void take_rcpt(struct smtp_server *s, struct smtp_command c)
{
	struct smtp_command_rcpt r;
	unsigned extensions = is_esmtp(s) ? smtp_server_announced(s) : 0;

	if (!s->has_mail || s->is_chunking) {
		smtp_server_bad_sequence(s, s->has_mail ? STR("the message has begun")
							: STR("MAIL comes first"));
		return;
	}
	enum smtp_command_fault f =
		smtp_command_parse_rcpt(c.argument, extensions, s->mail.is_smtputf8, &r);
	if (!is_taken(s, f)) {
		say_fault(s, f, false);
		return;
	}
	if (s->n_rcpts >= s->o.recipients_max) { /* RFC 5321 section 4.5.3.1.10 */
		smtp_server_say(s, 452, STATUS(4, 5, 3), STR("too many recipients"));
		return;
	}
	smtp_server_ask(s, (struct smtp_server_event){
				   .kind = SMTP_SERVER_RCPT, .rcpt = r, .index = s->n_rcpts });
}

static void take_data(struct smtp_server *s, struct smtp_command c)
{
	if (!s->has_mail)
		smtp_server_bad_sequence(s, STR("MAIL comes first"));
	else if (s->n_rcpts == 0) /* RFC 2033 section 4.2 wants 503 */
		smtp_server_say_error(s, s->o.dialect == SMTP_DIALECT_LMTP ? 503 : 554,
				      STATUS(5, 5, 1), STR("no valid recipients"));
	else if (c.argument.n > 0)
		smtp_server_bad_argument(s, STR("DATA takes no parameter"));
	else if (s->is_chunking) /* RFC 3030 section 2 */
		smtp_server_bad_sequence(s, STR("BDAT has begun the message"));
	else
		smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_DATA,
							       .verb = SMTP_VERB_DATA });
}

/* The others. */

static void
take_simple(struct smtp_server *s, struct smtp_command c, enum smtp_server_event_kind kind)
{
	if (c.verb == SMTP_VERB_VRFY && c.argument.n == 0) {
		smtp_server_bad_argument(s, STR("whom?"));
		return;
	}
	if ((c.verb == SMTP_VERB_RSET || c.verb == SMTP_VERB_QUIT) && c.argument.n > 0) {
		smtp_server_bad_argument(s, STR("no parameter here"));
		return;
	}
	if (c.verb == SMTP_VERB_RSET)
		smtp_server_forget_transaction(s);
	smtp_server_ask(s, (struct smtp_server_event){ .kind = kind, .argument = c.argument });
}

static bool has_control(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 127)
			return true;
	return false;
}

static void take_command(struct smtp_server *s, struct smtp_command c)
{
	switch (c.verb) {
	case SMTP_VERB_HELO:
	case SMTP_VERB_EHLO:
	case SMTP_VERB_LHLO:
		take_hello(s, c);
		return;
	case SMTP_VERB_MAIL:
		take_mail(s, c);
		return;
	case SMTP_VERB_RCPT:
		take_rcpt(s, c);
		return;
	case SMTP_VERB_DATA:
		take_data(s, c);
		return;
	case SMTP_VERB_RSET:
		take_simple(s, c, SMTP_SERVER_RSET);
		return;
	case SMTP_VERB_NOOP:
		take_simple(s, c, SMTP_SERVER_NOOP);
		return;
	case SMTP_VERB_VRFY:
		take_simple(s, c, SMTP_SERVER_VRFY);
		return;
	case SMTP_VERB_HELP:
		take_simple(s, c, SMTP_SERVER_HELP);
		return;
	case SMTP_VERB_QUIT:
		take_simple(s, c, SMTP_SERVER_QUIT);
		return;
	case SMTP_VERB_STARTTLS:
		take_starttls(s, c);
		return;
	case SMTP_VERB_AUTH:
		smtp_server_take_auth(s, c);
		return;
	case SMTP_VERB_BDAT:
		smtp_server_take_bdat(s, c);
		return;
	case SMTP_VERB_EXPN:
		smtp_server_say_error(s, 502, STATUS(5, 5, 1), STR("not here"));
		return;
	case SMTP_VERB_UNKNOWN:
		smtp_server_say_error(s, 500, STATUS(5, 5, 2), STR("unknown command"));
		return;
	}
}

/* Those that must be the last of a group: RFC 2920 section 3.1. STARTTLS has a rule of its own, and
 * what follows QUIT is never read. */
static bool ends_group(enum smtp_verb v)
{
	return v == SMTP_VERB_HELO || v == SMTP_VERB_EHLO || v == SMTP_VERB_LHLO ||
	       v == SMTP_VERB_DATA || v == SMTP_VERB_NOOP || v == SMTP_VERB_VRFY ||
	       v == SMTP_VERB_EXPN || v == SMTP_VERB_AUTH || v == SMTP_VERB_HELP;
}

static bool is_early(const struct smtp_server *s, enum smtp_verb v)
{
	bool may_pipeline = is_esmtp(s) && (s->o.extensions & SMTP_EXT_PIPELINING);

	if (!s->o.forbids_early || buf_len(&s->input) == 0 || v == SMTP_VERB_QUIT ||
	    v == SMTP_VERB_STARTTLS)
		return false;
	return ends_group(v) || (!may_pipeline && v != SMTP_VERB_BDAT);
}

static void end_early_talker(struct smtp_server *s)
{
	smtp_server_say(s, 554, STATUS(5, 5, 0), STR("you speak before your turn"));
	smtp_server_close(s, STR("the peer did not wait for a reply"));
}

/* A browser's request, say, whose body has been made to look like mail. */
static bool is_forbidden(const struct smtp_server *s, struct str line)
{
	struct str rest = s->o.forbidden, word, first;

	if (s->o.forbids_nonletters && line.n > 0 && !ascii_is_alpha(line.p[0]))
		return true;
	if (!str_token(&line, STR(" \t"), &first))
		return false;
	while (str_token(&rest, STR(" "), &word))
		if (str_ieq_ascii(word, first))
			return true;
	return false;
}

static void end_stranger(struct smtp_server *s)
{
	smtp_server_say(s, 221, STATUS(2, 7, 0), STR("you speak something else"));
	smtp_server_close(s, STR("the peer speaks another protocol"));
}

static bool is_junk(enum smtp_verb v)
{
	return v == SMTP_VERB_HELO || v == SMTP_VERB_EHLO || v == SMTP_VERB_LHLO ||
	       v == SMTP_VERB_NOOP || v == SMTP_VERB_VRFY || v == SMTP_VERB_RSET ||
	       v == SMTP_VERB_HELP || v == SMTP_VERB_AUTH;
}

static bool needs_tls_first(const struct smtp_server *s, enum smtp_verb v)
{
	return s->o.needs_tls && !s->is_tls &&
	       (v == SMTP_VERB_MAIL || v == SMTP_VERB_RCPT || v == SMTP_VERB_DATA ||
		v == SMTP_VERB_AUTH || v == SMTP_VERB_VRFY || v == SMTP_VERB_EXPN);
}

static void take_line(struct smtp_server *s, struct str line, struct smtp_command c)
{
	if (is_forbidden(s, line))
		end_stranger(s);
	else if (has_control(line))
		smtp_server_say_error(s, 500, STATUS(5, 5, 2), STR("control octets in a command"));
	else if (s->is_refused && c.verb != SMTP_VERB_QUIT) /* RFC 5321 section 3.1 */
		smtp_server_bad_sequence(s, STR("no service for you"));
	else if (is_early(s, c.verb))
		end_early_talker(s);
	else if (needs_tls_first(s, c.verb))
		smtp_server_say_error(s, 530, STATUS(5, 7, 0), STR("STARTTLS comes first"));
	else
		take_command(s, c);
}

void smtp_server_take_line(struct smtp_server *s, struct str line)
{
	struct smtp_command c = smtp_command_parse(line);

	if (s->o.junk_max > 0 && is_junk(c.verb) && ++s->n_junk > s->o.junk_max)
		smtp_server_count_error(s);
	if (s->state != SERVER_OVER)
		take_line(s, line, c);
}

/* Answers. */

static struct smtp_reply reply(int code, struct status st, struct str text)
{
	return (struct smtp_reply){ .code = code, .status = st, .text = text };
}

struct smtp_reply smtp_server_usual_reply(struct smtp_server *s)
{
	const char *greeting = s->o.dialect == SMTP_DIALECT_LMTP ? "LMTP" : "ESMTP";

	switch (s->question.kind) {
	case SMTP_SERVER_GREET:
		return reply(220, STATUS(0, 0, 0),
			     arena_fmt(smtp_server_line_arena(s), STR_FMT " %s",
				       STR_ARG(s->o.hostname), greeting));
	case SMTP_SERVER_HELO:
		return hello_reply(s);
	case SMTP_SERVER_STARTTLS:
		return reply(220, STATUS(2, 0, 0), STR("go ahead"));
	case SMTP_SERVER_MAIL:
		return reply(250, STATUS(2, 1, 0), STR("sender ok"));
	case SMTP_SERVER_RCPT:
		return reply(250, STATUS(2, 1, 5), STR("recipient ok"));
	case SMTP_SERVER_DATA:
		return reply(354, STATUS(0, 0, 0), STR("end data with <CRLF>.<CRLF>"));
	case SMTP_SERVER_MESSAGE:
	case SMTP_SERVER_RSET:
	case SMTP_SERVER_NOOP:
		return reply(250, STATUS(2, 0, 0), STR("ok"));
	case SMTP_SERVER_VRFY:
		return reply(252, STATUS(2, 5, 0), STR("send mail and see"));
	case SMTP_SERVER_HELP:
		return reply(214, STATUS(2, 0, 0), STR("RFC 5321"));
	case SMTP_SERVER_QUIT:
		return reply(221, STATUS(2, 0, 0), STR("bye"));
	case SMTP_SERVER_AUTH:
	case SMTP_SERVER_AUTH_RESPONSE:
		return reply(235, STATUS(2, 7, 0), STR("welcome"));
	case SMTP_SERVER_NOTHING:
	case SMTP_SERVER_CONTENT:
	case SMTP_SERVER_DROP:
	case SMTP_SERVER_AUTH_DROP:
	case SMTP_SERVER_START_TLS:
	case SMTP_SERVER_CLOSED:
		break;
	}
	CHECK(!"a question is open");
	return reply(421, STATUS(0, 0, 0), STR_NONE);
}

static void end_message(struct smtp_server *s, struct smtp_server_event q)
{
	q.index++;
	if (s->o.dialect == SMTP_DIALECT_LMTP && q.index < s->n_rcpts) {
		smtp_server_ask(s, q);
		return;
	}
	s->has_mail = false; /* the application has it: nothing to drop */
	smtp_server_forget_transaction(s);
}

static void learn_name(struct smtp_server *s, struct smtp_server_event q)
{
	free(s->helo_mem);
	s->helo_mem = base_alloc(q.argument.n + 1);
	memcpy(s->helo_mem, q.argument.p, q.argument.n);
	s->helo_name = str_span(s->helo_mem, q.argument.n);
	s->hello = q.verb;
}

static void accepted(struct smtp_server *s, struct smtp_server_event q)
{
	if (q.kind == SMTP_SERVER_HELO)
		learn_name(s, q);
	else if (q.kind == SMTP_SERVER_STARTTLS)
		begin_tls(s);
	else if (q.kind == SMTP_SERVER_MAIL)
		s->has_mail = true;
	else if (q.kind == SMTP_SERVER_RCPT)
		s->n_rcpts++;
	else if (q.kind == SMTP_SERVER_DATA && q.verb == SMTP_VERB_BDAT)
		smtp_server_begin_chunks(s);
	else if (q.kind == SMTP_SERVER_DATA)
		smtp_server_begin_content(s);
	else if (q.kind == SMTP_SERVER_AUTH || q.kind == SMTP_SERVER_AUTH_RESPONSE)
		s->is_authenticated = true;
	else if (q.kind == SMTP_SERVER_MESSAGE)
		s->n_errors = s->n_junk = 0;
	else if (q.kind == SMTP_SERVER_GREET && s->o.forbids_early && buf_len(&s->input) > 0)
		end_early_talker(s);
}

static void refused(struct smtp_server *s, struct smtp_server_event q)
{
	if (q.kind == SMTP_SERVER_GREET)
		s->is_refused = true;
	else if (q.kind == SMTP_SERVER_DATA && q.verb == SMTP_VERB_BDAT)
		smtp_server_refuse_chunks(s);
}

void smtp_server_answered(struct smtp_server *s, int code)
{
	struct smtp_server_event q = s->question;
	int wanted = q.kind == SMTP_SERVER_DATA ? 3 : 2;

	s->question.kind = SMTP_SERVER_NOTHING;
	if (code == 421 || code == 521) {
		smtp_server_close(s, STR("as we replied"));
		return;
	}
	if (code / 100 == wanted)
		accepted(s, q);
	else
		refused(s, q);
	if (q.kind == SMTP_SERVER_MESSAGE)
		end_message(s, q);
	if (q.kind == SMTP_SERVER_QUIT)
		smtp_server_close(s, STR("the peer said QUIT"));
	else if (s->o.counts_refusals && code / 100 >= 4)
		smtp_server_count_error(s);
}
