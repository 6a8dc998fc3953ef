/* To the daemon, by SMTP or LMTP over one of its own listeners. */

#include "cmd/sendmail.h"
#include "deliver/session.h"
#include "listen/listen.h"
#include "proto/smtp_reply.h"

enum {
	SUBMIT_CONNECT_MS = 5000,
	SUBMIT_REPLY_MS = 60000,    /* to any command */
	SUBMIT_CONTENT_MS = 600000, /* to the message: it is made durable before */
};

struct submission {
	struct conf *conf;
	struct arena *arena;
	const struct sendmail_mail *mail;
	struct session *session;
	struct net_loop *loop;
	struct smtp_mail smtp;
	size_t n_taken, n_refused;
	bool is_unix; /* a path is of nobody but the daemon */
	bool is_greeted, is_stranger;
	struct str *said;
	struct error *e;
};

/* ---- the session ---- */

/* What the session and its recipients come to: a refusal for good is the caller's to tell, all else
 * may be tried again. */
static void complain(struct submission *s, const struct outcome *o, struct str about)
{
	enum error_kind kind = o->kind == OUTCOME_BOUNCED ? ERROR_NOT_HERE : ERROR_TEMP;
	struct str reply = o->reply.code ? smtp_reply_one_line(s->arena, o->reply) : o->reason;

	(void)error_set(s->e, kind, STR_FMT "%s" STR_FMT, STR_ARG(about), about.n ? ": " : "",
			STR_ARG(str_first(reply, 600)));
}

/* Another server may have taken the port while the daemon is down. */
static bool is_stranger(const struct submission *s)
{
	struct str name = smtp_client_hello_name(session_smtp(s->session));

	return !s->is_unix && !str_ieq_ascii(name, conf_str(s->conf, CONF_myhostname));
}

static void on_ready(void *arg)
{
	struct submission *s = arg;

	s->is_stranger = is_stranger(s);
	s->is_greeted = !s->is_stranger;
	if (s->is_stranger)
		session_quit(s->session);
	else
		session_mail(s->session, &s->smtp, s->mail->message.content);
}

static void on_rcpt(void *arg, const struct smtp_client_event *ev)
{
	struct submission *s = arg;

	if (ev->outcome.kind == OUTCOME_DELIVERED) {
		s->n_taken++;
		*s->said = arena_str(s->arena, ev->outcome.reply.text);
		return;
	}
	if (s->n_refused++ == 0)
		complain(s, &ev->outcome, s->mail->rcpts[ev->index]);
}

static void on_done(void *arg)
{
	struct submission *s = arg;

	session_quit(s->session);
}

static void on_over(void *arg, const struct session_end *end)
{
	struct submission *s = arg;

	if (end->kind != SESSION_QUIT && s->n_taken + s->n_refused == 0)
		complain(s, &end->outcome, STR("the daemon"));
	s->is_greeted = s->is_greeted || end->kind == SESSION_FAILED;
	session_free(s->session);
	s->session = NULL;
}

static const struct session_calls calls = {
	.ready = on_ready,
	.rcpt = on_rcpt,
	.done = on_done,
	.over = on_over,
};

static struct smtp_client_options client_options(struct conf *conf)
{
	return (struct smtp_client_options){
		.helo_name = conf_str(conf, CONF_myhostname),
		.starttls = SMTP_STARTTLS_NEVER,
		.timeouts = {
			.greeting_ms = SUBMIT_REPLY_MS,
			.helo_ms = SUBMIT_REPLY_MS,
			.mail_ms = SUBMIT_REPLY_MS,
			.rcpt_ms = SUBMIT_REPLY_MS,
			.data_init_ms = SUBMIT_REPLY_MS,
			.data_xfer_ms = SUBMIT_REPLY_MS,
			.data_done_ms = SUBMIT_CONTENT_MS,
			.rset_ms = SUBMIT_REPLY_MS,
			.quit_ms = SUBMIT_REPLY_MS,
		},
	};
}

static enum sendmail_end submit_at(struct submission *s, struct session_options *o)
{
	o->loop = s->loop;
	o->connect_ms = SUBMIT_CONNECT_MS;
	s->session = session_start(o, &calls, s);
	net_loop_run(s->loop);
	if (s->is_stranger || !s->is_greeted)
		return SENDMAIL_NOBODY;
	if (s->n_taken == 0)
		return SENDMAIL_REFUSED;
	return s->n_refused ? SENDMAIL_IN_PARTS : SENDMAIL_TAKEN;
}

/* ---- where ---- */

/* Any address of this machine will do for one that stands for all. */
static bool tcp_place(struct str address, struct net_endpoint *to)
{
	struct str port;
	uint64_t n;

	if (!str_has_prefix(address, STR("*:")))
		return net_endpoint_parse(address, to) && to->port > 0;
	port = str_from(address, 2);
	if (!str_to_u64(port, &n) || n == 0 || n > UINT16_MAX)
		return false;
	*to = (struct net_endpoint){ { ADDRESS_V4, { 127, 0, 0, 1 } }, (uint16_t)n };
	return true;
}

/* "smtp:127.0.0.1:25" and its like. False: not for us. */
static bool place_of(struct str text, bool is_unix, struct session_options *o)
{
	struct str type, address;

	if (!str_cut(text, ':', &type, &address) || str_eq(type, STR("smtps")) ||
	    str_has_prefix(address, STR("unix:")) != is_unix)
		return false;
	o->smtp.dialect = str_eq(type, STR("lmtp")) ? SMTP_DIALECT_LMTP : SMTP_DIALECT_SMTP;
	o->socket = is_unix ? str_from(address, 5) : STR("");
	return is_unix || tcp_place(address, &o->to);
}

static struct smtp_mail smtp_mail_of(struct arena *a, const struct sendmail_mail *m)
{
	struct smtp_rcpt *rcpts = ARENA_ARRAY(a, m->n_rcpts, struct smtp_rcpt);

	for (size_t i = 0; i < m->n_rcpts; i++)
		rcpts[i] = (struct smtp_rcpt){ .address = m->rcpts[i], .notify = m->notify };
	return (struct smtp_mail){
		.sender = m->sender,
		.size_octets = m->message.scan.size_octets,
		.is_8bit = m->message.scan.is_8bit,
		.has_8bit_header = m->message.scan.has_8bit_header,
		.is_smtputf8 = m->is_smtputf8,
		.ret = m->ret,
		.envid = m->envid,
		.rcpts = rcpts,
		.n_rcpts = m->n_rcpts,
	};
}

/* UNIX-domain sockets first: their folder says who may use them. */
enum sendmail_end sendmail_submit(struct conf *conf, struct arena *a, const struct sendmail_mail *m,
				  struct str *said, struct error *e)
{
	struct listen_setup *setup = listen_setup_new(conf, e);
	enum sendmail_end end = SENDMAIL_NOBODY;

	if (!setup)
		return SENDMAIL_REFUSED;
	for (size_t i = 0, n = listen_setup_count(setup); i < 2 * n && end == SENDMAIL_NOBODY;
	     i++) {
		struct session_options o = { .smtp = client_options(conf) };
		struct submission s = {
			.conf = conf,
			.arena = a,
			.mail = m,
			.smtp = smtp_mail_of(a, m),
			.is_unix = i < n,
			.said = said,
			.e = e,
		};

		if (!place_of(listen_setup_text(setup, i % n), i < n, &o))
			continue;
		s.loop = net_loop_new();
		end = submit_at(&s, &o);
		net_loop_drain(s.loop);
		net_loop_free(s.loop);
	}
	listen_setup_unref(setup);
	return end;
}
