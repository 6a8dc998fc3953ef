/* Into the queue, while nobody else has it: the daemon finds the message when it starts. */

#include "cmd/sendmail.h"
#include "os/os.h"
#include "store/store.h"

struct filling {
	const struct sendmail_mail *mail;
	struct net_loop *loop;
	struct store *store;
	struct store_client *client;
	struct store_content *content;
	struct error *e;
	bool is_kept;
};

static bool spool_rest(struct filling *f, struct store_spool *spool)
{
	struct str piece;

	for (uint64_t at = f->mail->trace_n;; at += piece.n) {
		if (!content_read(f->mail->message.content, at, &piece, f->e))
			return false;
		if (piece.n == 0)
			return true;
		if (!store_spool_add(spool, piece, f->e))
			return false;
	}
}

static bool spool(struct filling *f, uint64_t id, struct str trace)
{
	struct store_spool *s = store_spool_new(f->client, id);

	if (store_spool_add(s, trace, f->e) && spool_rest(f, s)) {
		f->content = store_spool_finish(s, f->e);
		return f->content != NULL;
	}
	store_spool_free(s);
	return false;
}

static void kept(void *arg, const struct store_result *r)
{
	struct filling *f = arg;

	f->is_kept = r->fault == STORE_DONE;
	if (!f->is_kept)
		(void)error_set(f->e, ERROR_TEMP, "the queue could not keep it: " STR_FMT,
				STR_ARG(r->text));
}

static unsigned message_flags(const struct sendmail_mail *m)
{
	const struct message_scan *scan = &m->message.scan;
	unsigned flags = 0;

	if (scan->is_8bit)
		flags |= STORE_8BIT;
	if (scan->has_8bit_header)
		flags |= STORE_8BIT_HEADER;
	if (m->is_smtputf8)
		flags |= STORE_SMTPUTF8;
	if (scan->has_tls_required_no)
		flags |= STORE_TLS_REQUIRED_NO;
	return flags;
}

static bool fill(struct filling *f, struct conf *conf, struct arena *a, struct str *said)
{
	const struct sendmail_mail *mail = f->mail;
	struct store_rcpt *rcpts = ARENA_ARRAY(a, mail->n_rcpts, struct store_rcpt);
	char id[STORE_ID_TEXT_MAX];
	struct store_message m = {
		.id = store_client_id(f->client),
		.arrived_ms = os_utc_ns() / 1000000,
		.flags = message_flags(mail),
		.sender = mail->sender,
		.ret = mail->ret,
		.envid = mail->envid,
		.rcpts = rcpts,
		.n_rcpts = mail->n_rcpts,
	};

	for (size_t i = 0; i < mail->n_rcpts; i++) {
		rcpts[i].address = mail->rcpts[i];
		rcpts[i].notify = mail->notify;
	}
	if (!spool(f, m.id, sendmail_trace(conf, a, store_id_text(m.id, id))))
		return false;
	store_accept(f->client, &m, f->content, STORE_ACCEPT_QUEUED, kept, f);
	net_loop_run(f->loop);
	*said = arena_fmt(a, "queued as %s", id);
	return f->is_kept;
}

enum sendmail_end sendmail_queue(struct conf *conf, struct arena *a, const struct sendmail_mail *m,
				 struct str *said, struct error *e)
{
	struct filling f = { .mail = m, .e = e };
	struct store_options o = {
		.directory = arena_str(a, conf_str(conf, CONF_hopseal_queue_directory)).p,
		.inline_limit = (size_t)conf_int(conf, CONF_hopseal_content_inline_limit),
	};
	enum sendmail_end end = SENDMAIL_REFUSED;

	if (!cmd_become_queue_owner(conf, o.directory, e))
		return SENDMAIL_REFUSED;
	f.store = store_open(&o, e);
	if (!f.store)
		return e->kind == ERROR_TEMP ? SENDMAIL_NOBODY : SENDMAIL_REFUSED;
	f.loop = net_loop_new();
	f.client = store_client_new(f.store, f.loop, e);
	if (f.client && fill(&f, conf, a, said))
		end = SENDMAIL_TAKEN;
	store_content_unref(f.content);
	store_client_free(f.client);
	store_close(f.store);
	net_loop_free(f.loop);
	return end;
}
