#include "cmd/sink_mail.h"

#include <stdarg.h>
#include <time.h>

#include "base/limits.h"
#include "os/os.h"

#define RECIPIENTS_MAX (64 * 1024) /* octets of the addresses that are shown */

void cmd_sink_mail_init(struct cmd_sink_mail *m)
{
	*m = (struct cmd_sink_mail){ 0 };
	buf_init(&m->sender, SMTP_COMMAND_LINE_MAX);
	buf_init(&m->recipients, RECIPIENTS_MAX);
}

void cmd_sink_mail_fini(struct cmd_sink_mail *m)
{
	cmd_sink_mail_reset(m);
	buf_fini(&m->sender);
	buf_fini(&m->recipients);
}

void cmd_sink_mail_reset(struct cmd_sink_mail *m)
{
	cmd_maildir_drop(m->message);
	m->message = NULL;
	m->has_content = m->is_kept = false;
	m->trouble.kind = ERROR_NONE;
	m->n_octets = 0;
	buf_reset(&m->sender);
	buf_reset(&m->recipients);
}

void cmd_sink_mail_from(struct cmd_sink_mail *m, struct str sender)
{
	cmd_sink_mail_reset(m);
	CHECK(buf_add(&m->sender, sender)); /* shorter than a command line */
}

void cmd_sink_mail_rcpt(struct cmd_sink_mail *m, struct str address)
{
	if (buf_room(&m->recipients) > address.n)
		CHECK(buf_add(&m->recipients, address) && buf_add_char(&m->recipients, '\n'));
}

struct str cmd_sink_mail_rcpt_at(const struct cmd_sink_mail *m, size_t index)
{
	struct str rest = buf_str(&m->recipients), rcpt = STR("");

	for (size_t i = 0; i <= index; i++)
		if (!str_cut(rest, '\n', &rcpt, &rest))
			return STR("");
	return rcpt;
}

static void put(struct cmd_sink_mail *m, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct cmd_sink_mail *m, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, RECIPIENTS_MAX);
	va_start(ap, fmt);
	if (buf_vfmt(&b, fmt, ap))
		cmd_maildir_write(m->message, buf_str(&b));
	va_end(ap);
	buf_fini(&b);
}

static void put_trace(struct cmd_sink_mail *m, const struct cmd_sink_trace *t)
{
	struct str rest = buf_str(&m->recipients), rcpt;
	time_t now = (time_t)os_utc_s();
	char date[64];
	struct tm tm;

	put(m, "Return-Path: <" STR_FMT ">\r\n", STR_ARG(buf_str(&m->sender)));
	while (str_cut(rest, '\n', &rcpt, &rest))
		put(m, "Delivered-To: " STR_FMT "\r\n", STR_ARG(rcpt));
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &tm));
	put(m, "Received: from " STR_FMT " (" STR_FMT ")\r\n", STR_ARG(t->helo), STR_ARG(t->peer));
	put(m, "\tby " STR_FMT " with " STR_FMT "; %s\r\n", STR_ARG(t->hostname),
	    STR_ARG(t->protocol), date);
}

void cmd_sink_mail_begin(struct cmd_sink_mail *m, struct cmd_maildir *to,
			 const struct cmd_sink_trace *trace)
{
	m->has_content = true;
	if (!to)
		return;
	m->message = cmd_maildir_begin(to, &m->trouble);
	if (m->message)
		put_trace(m, trace);
}

void cmd_sink_mail_content(struct cmd_sink_mail *m, struct str octets)
{
	m->n_octets += octets.n;
	if (m->message)
		cmd_maildir_write(m->message, octets);
}

bool cmd_sink_mail_keep(struct cmd_sink_mail *m)
{
	struct cmd_maildir_message *message = m->message;

	m->message = NULL;
	if (m->trouble.kind == ERROR_NONE && !m->is_kept)
		m->is_kept = !message || cmd_maildir_commit(message, &m->trouble);
	return m->is_kept;
}
