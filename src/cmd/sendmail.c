/* hopseal sendmail: takes a message from standard input, as sendmail(1) does, and hands it to the
 * daemon or puts it into the queue. */

#include "cmd/sendmail.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/map.h"
#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/domain.h"
#include "mail/mailbox.h"
#include "mail/message_head.h"
#include "mail/message_received.h"
#include "os/os.h"

enum {
	SENDMAIL_TRIES = 12,      /* while another process has the queue for a moment */
	SENDMAIL_PAUSE_MS = 250,  /* between them */
	FULL_NAME_MAX = 500,      /* octets */
	ENCODED_WORD_OCTETS = 45, /* 60 in base 64; RFC 2047 section 2 has 75 with the rest */
};

struct sendmail {
	struct sendmail_options options;
	struct conf *conf;
	struct arena *arena;
	struct sendmail_mail mail;
	struct str *rcpts;
	size_t n_rcpts, size_rcpts;
	struct map given; /* recipients, in small letters */
	struct buf section;
	struct error e;
};

/* ---- addresses ---- */

static struct str complete(struct sendmail *s, struct str address)
{
	struct mailbox m;

	if (address.n == 0 || !mailbox_parse(address, &m) || m.domain.n > 0)
		return address;
	return arena_fmt(s->arena, STR_FMT "@" STR_FMT, STR_ARG(address),
			 STR_ARG(conf_str(s->conf, CONF_myorigin)));
}

/* Each once, whatever the case. */
static bool add_recipient(struct sendmail *s, struct str address)
{
	struct str folded = arena_lower(s->arena, complete(s, address));

	if (map_has(&s->given, folded))
		return true;
	if (s->n_rcpts == SMTP_RECIPIENTS_MAX)
		return error_set(&s->e, ERROR_DATA, "more than %d recipients", SMTP_RECIPIENTS_MAX);
	if (s->n_rcpts == s->size_rcpts) {
		s->size_rcpts = s->size_rcpts ? 2 * s->size_rcpts : 16;
		s->rcpts = base_realloc(s->rcpts, s->size_rcpts * sizeof(*s->rcpts));
	}
	map_put(&s->given, folded, 0);
	s->rcpts[s->n_rcpts++] = complete(s, address);
	return true;
}

static bool add_list(struct sendmail *s, struct str list, struct str what, enum error_kind kind)
{
	struct str rest = list, address;
	enum address_list got;

	while ((got = address_list_next(&rest, s->arena, &address)) == ADDRESS_LIST_ONE)
		if (!add_recipient(s, address))
			return false;
	return got == ADDRESS_LIST_END ||
	       error_set(&s->e, kind, STR_FMT ": \"" STR_FMT "\" has what is no mail address",
			 STR_ARG(what), STR_ARG(str_first(str_trim(list), 200)));
}

static bool add_arguments(struct sendmail *s)
{
	for (size_t i = 0; i < s->options.n_args; i++)
		if (!add_list(s, str_of(s->options.args[i]), STR("recipient"), ERROR_USAGE))
			return false;
	return true;
}

static struct str user_name(void)
{
	const struct passwd *p = getpwuid(getuid());

	return p ? str_of(p->pw_name) : STR("postmaster");
}

static bool set_sender(struct sendmail *s)
{
	struct str text = s->options.sender ? str_of(s->options.sender) : user_name();
	struct str rest = text, again, address = STR("");

	text = str_trim(text);
	if (text.n > 0 && !str_eq(text, STR("<>")) &&
	    (address_list_next(&rest, s->arena, &address) != ADDRESS_LIST_ONE ||
	     address_list_next(&rest, s->arena, &again) != ADDRESS_LIST_END))
		return error_set(&s->e, ERROR_USAGE, "sender \"" STR_FMT "\": not a mail address",
				 STR_ARG(str_first(text, 200)));
	s->mail.sender = complete(s, arena_str(s->arena, address));
	return true;
}

/* ---- recipients of the header section ---- */

/* A field with its continuations; RFC 5322 section 2.2.3. */
static bool next_field(struct str *rest, struct str *field)
{
	struct str whole = *rest, line, after;

	if (!str_cut(*rest, '\n', &line, &after))
		return false;
	*rest = after;
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t') &&
	       str_cut(*rest, '\n', &line, &after))
		*rest = after;
	*field = str_first(whole, whole.n - rest->n);
	return true;
}

static bool is_resent(struct str section)
{
	struct str field, name, value;

	while (next_field(&section, &field))
		if (message_field_cut(field, &name, &value) &&
		    (str_ieq_ascii(name, STR("Resent-To")) ||
		     str_ieq_ascii(name, STR("Resent-Cc")) ||
		     str_ieq_ascii(name, STR("Resent-Bcc"))))
			return true;
	return false;
}

static bool names_recipients(struct str name, bool of_resent)
{
	if (of_resent && !str_ihas_prefix_ascii(name, STR("Resent-")))
		return false;
	name = str_from(name, of_resent ? STR("Resent-").n : 0);
	return str_ieq_ascii(name, STR("To")) || str_ieq_ascii(name, STR("Cc")) ||
	       str_ieq_ascii(name, STR("Bcc"));
}

static bool add_header(struct sendmail *s)
{
	struct str section = buf_str(&s->section), field, name, value;
	bool of_resent = is_resent(section);

	while (next_field(&section, &field))
		if (message_field_cut(field, &name, &value) && names_recipients(name, of_resent) &&
		    !add_list(s, value, name, ERROR_DATA))
			return false;
	return true;
}

static bool set_recipients(struct sendmail *s)
{
	if (!add_arguments(s) || (s->options.takes_header && !add_header(s)))
		return false;
	s->mail.rcpts = s->rcpts;
	s->mail.n_rcpts = s->n_rcpts;
	return s->n_rcpts > 0 || error_set(&s->e, ERROR_USAGE, "the message names no recipients");
}

/* ---- the message ---- */

struct str sendmail_trace(struct conf *conf, struct arena *a, struct str id)
{
	struct message_received r = {
		.hostname = conf_str(conf, CONF_myhostname),
		.product = conf_str(conf, CONF_mail_name),
		.id = id,
		.at_utc_s = os_utc_s(),
	};
	struct buf b;

	buf_init(&b, MESSAGE_RECEIVED_MAX);
	message_received_local_text(&b, &r, (unsigned)getuid());
	struct str text = arena_str(a, buf_str(&b));
	buf_fini(&b);
	return text;
}

/* Whole characters in each word: RFC 2047 section 5. */
static struct str encode_words(struct arena *a, struct str name)
{
	struct str out = STR("");

	while (name.n > 0) {
		size_t n = 0, next;

		while (n < name.n && (next = str_utf8_len(str_from(name, n))) > 0 &&
		       n + next <= ENCODED_WORD_OCTETS)
			n += next;
		if (n == 0) /* no UTF-8: nobody knows what it says */
			return STR("");
		out = arena_fmt(a, STR_FMT "%s=?utf-8?B?" STR_FMT "?=", STR_ARG(out),
				out.n ? " " : "", STR_ARG(base64_encode(a, str_first(name, n))));
		name = str_from(name, n);
	}
	return out;
}

static struct str quote(struct arena *a, struct str name)
{
	char *p = arena_alloc(a, 2 * name.n + 2);
	size_t n = 0;

	p[n++] = '"';
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = name.p[i];
	}
	p[n++] = '"';
	return str_span(p, n);
}

static bool is_shown(struct str name)
{
	return name.n > 0 && name.n <= FULL_NAME_MAX && str_shown_len(name) == name.n;
}

static struct str from_field(struct sendmail *s)
{
	const char *given = s->options.full_name ? s->options.full_name : getenv("NAME");
	struct str name = str_trim(str_of(given)), address = s->mail.sender;

	if (address.n == 0)
		return arena_fmt(s->arena, "MAILER-DAEMON@" STR_FMT,
				 STR_ARG(conf_str(s->conf, CONF_myhostname)));
	if (!is_shown(name))
		return address;
	name = domain_is_ascii(name) ? quote(s->arena, name) : encode_words(s->arena, name);
	return arena_fmt(s->arena, STR_FMT " <" STR_FMT ">", STR_ARG(name), STR_ARG(address));
}

static bool read_message(struct sendmail *s)
{
	char date[MESSAGE_DATE_MAX];
	uint64_t random;

	os_random(&random, sizeof(random));
	struct sendmail_reading r = {
		.fd = STDIN_FILENO,
		.limit_octets = (uint64_t)conf_int(s->conf, CONF_message_size_limit),
		.ignores_dots = s->options.ignores_dots,
		.head = {
			.trace = sendmail_trace(s->conf, s->arena, STR("")),
			.dropped = conf_str(s->conf, CONF_message_drop_headers),
			.date = message_date(os_utc_s(), date),
			.message_id = arena_fmt(s->arena, "<%lld.%016llx@" STR_FMT ">",
						(long long)os_utc_s(), (unsigned long long)random,
						STR_ARG(conf_str(s->conf, CONF_myhostname))),
			.from = from_field(s),
		},
	};

	s->mail.trace_n = r.head.trace.n;
	return sendmail_read(&r, &s->section, &s->mail.message, &s->e);
}

static bool is_internationalised(const struct sendmail *s)
{
	const struct message_scan *scan = &s->mail.message.scan;
	bool is_ascii = domain_is_ascii(s->mail.sender);

	for (size_t i = 0; i < s->n_rcpts && is_ascii; i++)
		is_ascii = domain_is_ascii(s->rcpts[i]);
	return !is_ascii || (scan->has_8bit_header && scan->is_header_utf8);
}

static bool make_mail(struct sendmail *s)
{
	if (!set_sender(s) || !read_message(s) || !set_recipients(s))
		return false;
	s->mail.notify = s->options.notify;
	s->mail.ret = s->options.ret;
	s->mail.envid = s->options.envid;
	s->mail.is_smtputf8 = conf_bool(s->conf, CONF_smtputf8_enable) && is_internationalised(s);
	return true;
}

/* ---- where it goes ---- */

/* The daemon may be about to start, or another process be putting its own message into the
 * queue. */
static enum sendmail_end hand_over(struct sendmail *s, struct str *said)
{
	enum sendmail_end end = SENDMAIL_NOBODY;
	struct error unreached = { 0 };

	for (int i = 0; i < SENDMAIL_TRIES && end == SENDMAIL_NOBODY; i++) {
		if (i > 0)
			os_sleep_ms(SENDMAIL_PAUSE_MS);
		end = sendmail_submit(s->conf, s->arena, &s->mail, said, &s->e);
		if (end != SENDMAIL_NOBODY)
			return end;
		unreached = s->e;
		end = sendmail_queue(s->conf, s->arena, &s->mail, said, &s->e);
	}
	if (end == SENDMAIL_NOBODY || (end == SENDMAIL_REFUSED && s->e.kind != ERROR_CONFIG)) {
		struct error queue = s->e;

		(void)error_set(&s->e, ERROR_TEMP,
				"no daemon takes the message (%.300s), and it cannot be put into "
				"the queue: %.300s",
				unreached.text[0] ? unreached.text : "no listener", queue.text);
	}
	return end;
}

static int sendmail_run(struct sendmail *s)
{
	struct str said = STR("");

	if (!make_mail(s))
		return cmd_fail(&s->e);
	switch (hand_over(s, &said)) {
	case SENDMAIL_TAKEN:
		if (s->options.is_verbose)
			cmd_say(STR_FMT, STR_ARG(said));
		return EX_OK;
	case SENDMAIL_IN_PARTS:
		cmd_say("the message is in the queue, but not for all recipients");
		return cmd_fail(&s->e);
	case SENDMAIL_REFUSED:
	case SENDMAIL_NOBODY:
		return cmd_fail(&s->e);
	}
	CHECK(!"an end of no kind");
}

int cmd_sendmail(int argc, char **argv)
{
	struct sendmail s = { .arena = arena_new() };
	int status = sendmail_parse(&s.options, argc, argv);

	map_init(&s.given);
	buf_init(&s.section, MESSAGE_SECTION_MAX);
	if (status == 0)
		s.conf = cmd_configure(&s.options.sources, CONF_ERROR, &status);
	if (s.conf)
		status = sendmail_run(&s);
	content_free(s.mail.message.content);
	buf_fini(&s.section);
	map_fini(&s.given);
	free(s.rcpts);
	arena_free(s.arena);
	conf_unref(s.conf);
	cmd_sources_fini(&s.options.sources);
	return status < 0 ? EX_OK : status;
}
