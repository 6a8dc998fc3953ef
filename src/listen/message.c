/* A message on its way in: trace field, header section, content into the spool, and the answer when
 * it is safe. */

#include "listen/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/date.h"
#include "mail/domain.h"

void listen_message_mail(struct listen_session *s, const struct smtp_command_mail *m)
{
	struct arena *a = arena_new();
	struct listen_transaction *t = ARENA_NEW(a, struct listen_transaction);

	CHECK(!s->mail);
	t->arena = a;
	t->mail = *m;
	t->mail.sender = listen_session_complete(s, a, arena_str(a, m->sender));
	t->mail.ret = arena_str(a, m->ret);
	t->mail.envid = arena_str(a, m->envid);
	s->mail = t;
}

void listen_message_drop(struct listen_session *s)
{
	struct listen_transaction *t = s->mail;
	struct listen *l = s->port->listen;

	if (!t)
		return;
	if (t->has_spool)
		l->calls->spool_drop(l->arg, &t->spool);
	free(t->rcpts);
	arena_free(t->arena);
	s->mail = NULL;
}

void listen_message_rcpt(struct listen_session *s, struct str address,
			 const struct smtp_command_rcpt *r, struct str destination)
{
	struct listen_transaction *t = s->mail;

	if (t->n_rcpts == t->size_rcpts) {
		t->size_rcpts = t->size_rcpts ? 2 * t->size_rcpts : 4;
		t->rcpts = base_realloc(t->rcpts, t->size_rcpts * sizeof(*t->rcpts));
	}
	t->rcpts[t->n_rcpts++] = (struct listen_rcpt){
		.address = arena_str(t->arena, address),
		.notify = arena_str(t->arena, r->notify),
		.orcpt = arena_str(t->arena, r->orcpt),
		.destination = arena_str(t->arena, destination),
	};
}

/* The beginning. */

static void fail(struct listen_session *s, const struct error *e)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;
	struct log_value v = { .field = FIELD_reason, .text = error_text(e) };

	listen_session_log(s, EVENT_trouble, &v, 1);
	if (t->has_spool)
		l->calls->spool_drop(l->arg, &t->spool);
	t->has_spool = false;
	t->refusal =
		e->kind == ERROR_LIMIT
			? (struct smtp_reply){ 452, STATUS(4, 3, 1), STR("no room for mail now") }
			: (struct smtp_reply){ 451, STATUS(4, 3, 0),
					       STR("the message cannot be kept") };
}

/* What is known of the message is known of these octets. */
static void keep(struct listen_session *s, struct str octets)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;
	struct error e = { 0 };

	if (t->refusal.code || octets.n == 0)
		return;
	message_scan_feed(&t->scan, octets);
	if (!l->calls->spool_add(l->arg, &t->spool, octets, &e))
		fail(s, &e);
}

static bool adds_missing(const struct listen_session *s)
{
	const struct listen_setting *o = s->port->setting;
	bool is_own = !s->has_address || listen_networks_match(&o->own, &s->address) == LISTEN_YES;
	bool is_near = !s->has_address || s->mail->in_mynetworks == LISTEN_YES;

	return o->adds_always || s->user || (o->adds_for_own && is_own) ||
	       (o->adds_for_mynetworks && is_near);
}

static void begin_head(struct listen_session *s, int64_t at_utc_s)
{
	const struct listen_setting *o = s->port->setting;
	struct listen_transaction *t = s->mail;
	char date[MESSAGE_DATE_MAX];

	t->head_options = (struct message_head_options){
		.dropped = o->dropped_fields,
		.adds_missing = adds_missing(s),
		.date = arena_str(t->arena, message_date(at_utc_s, date)),
		.message_id = arena_fmt(t->arena, "<%lld.%s@" STR_FMT ">", (long long)at_utc_s,
					t->spool.id, STR_ARG(o->engine.hostname)),
		.from = t->mail.sender.n ? t->mail.sender
					 : arena_fmt(t->arena, "MAILER-DAEMON@" STR_FMT,
						     STR_ARG(o->engine.hostname)),
	};
	message_head_init(&t->head, &t->head_options);
}

static void put_received(struct listen_session *s, int64_t at_utc_s)
{
	const struct listen_setting *o = s->port->setting;
	struct listen_transaction *t = s->mail;
	struct listen *l = s->port->listen;
	struct listen_client c = listen_session_client(s, t->arena);
	struct message_received r = {
		.helo = c.helo,
		.client = c.address,
		.host = c.host,
		.hostname = o->engine.hostname,
		.product = o->product,
		.protocol = c.protocol,
		.id = str_of(t->spool.id),
		.rcpt = t->n_rcpts == 1 ? t->rcpts[0].address : STR(""),
		.at_utc_s = at_utc_s,
	};

	if (o->tells_tls) {
		r.tls_protocol = c.tls_protocol;
		r.tls_cipher = c.tls_cipher;
		r.tls_bits = c.tls_bits;
	}
	if (o->tells_user)
		r.user = c.user;
	buf_reset(&l->scratch);
	message_received_text(&l->scratch, &r);
	keep(s, buf_str(&l->scratch));
}

static void begin(struct listen_session *s)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;
	int64_t now = l->utc_ms() / 1000;
	struct error e = { 0 };

	if (t->has_begun)
		return;
	t->has_begun = true;
	message_scan_init(&t->scan);
	t->has_spool = l->calls->spool_begin(l->arg, &t->spool, &e);
	if (!t->has_spool) {
		fail(s, &e);
		return;
	}
	begin_head(s, now);
	put_received(s, now);
}

/* The content. */

void listen_message_content(struct listen_session *s, struct str octets)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;

	begin(s);
	if (t->refusal.code)
		return;
	if (t->head.is_in_body) {
		keep(s, octets);
		return;
	}
	buf_reset(&l->scratch);
	message_head_feed(&t->head, octets, &l->scratch);
	keep(s, buf_str(&l->scratch));
}

/* The end. */

static void log_accepted(struct listen_session *s)
{
	struct arena *a = arena_new();
	struct listen_client c = listen_session_client(s, a);
	struct log_value v[] = {
		{ .field = FIELD_queue_id, .text = str_of(s->mail->spool.id) },
		{ .field = FIELD_client, .text = c.name },
		{ .field = FIELD_method, .text = c.method.n ? c.method : STR_NONE },
		{ .field = FIELD_username, .text = c.user.n ? c.user : STR_NONE },
	};
	const struct message_head *h = &s->mail->head;
	struct log_value id[] = {
		{ .field = FIELD_queue_id, .text = str_of(s->mail->spool.id) },
		{ .field = FIELD_message_id,
		  .text = h->id_n > 0 ? str_span(h->id, h->id_n) : STR("<>") },
	};

	listen_session_log(s, EVENT_accepted, v, ARRAY_LEN(v));
	listen_session_log(s, EVENT_message_id, id, ARRAY_LEN(id));
	arena_free(a);
}

static bool is_last_answer(const struct listen_session *s, size_t index)
{
	bool is_lmtp = s->port->setting->engine.dialect == SMTP_DIALECT_LMTP;

	return !is_lmtp || index + 1 >= s->mail->n_rcpts;
}

static void say_result(struct listen_session *s, size_t index)
{
	struct listen_transaction *t = s->mail;
	struct arena *a = arena_new();
	struct smtp_reply r = { 250, STATUS(2, 0, 0),
				arena_fmt(a, "Ok: queued as %s", t->spool.id) };

	if (!t->is_kept) {
		r = t->refusal;
		r.text = arena_str(a, r.text);
	}
	if (is_last_answer(s, index))
		listen_message_drop(s);
	smtp_server_answer(s->engine, r, listen_session_now(s));
	arena_free(a);
}

static void refused(struct listen_session *s)
{
	struct status st = s->mail->refusal.status;
	bool is_room = st.subject == 3 && st.detail == 1;

	listen_session_log_refusal(s, "END-OF-MESSAGE", s->mail->refusal, STR_NONE);
	listen_session_count_refusal(s, is_room ? SMTP_REFUSAL_ROOM : SMTP_REFUSAL_OTHER);
}

void listen_message_answer(struct listen_session *s)
{
	if (s->mail->is_kept)
		log_accepted(s);
	else
		refused(s);
	say_result(s, 0);
}

/* Recipients that were named twice, each with a number for its place. */

struct named {
	struct str key;
	size_t place;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = str_cmp(x->key, y->key);

	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

/* The local part is the server's business (RFC 5321 section 2.4); other demands make another
 * recipient. */
static struct str name_key(struct arena *a, const struct listen_rcpt *r)
{
	struct str local = r->address, domain = STR("");

	if (str_rcut(r->address, '@', &local, &domain))
		domain = domain_fold(a, domain);
	return arena_fmt(a, STR_FMT "@" STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(local),
			 STR_ARG(domain), STR_ARG(r->notify), STR_ARG(r->orcpt));
}

/* The recipients in their order, each once; how many there are. */
static size_t each_once(struct listen_transaction *t, const struct listen_rcpt **out)
{
	struct named *v = ARENA_ARRAY(t->arena, t->n_rcpts, struct named);
	bool *is_again = ARENA_ARRAY(t->arena, t->n_rcpts, bool);
	struct listen_rcpt *once = ARENA_ARRAY(t->arena, t->n_rcpts, struct listen_rcpt);
	size_t n = 0;

	for (size_t i = 0; i < t->n_rcpts; i++)
		v[i] = (struct named){ name_key(t->arena, &t->rcpts[i]), i };
	qsort(v, t->n_rcpts, sizeof(*v), compare_named);
	for (size_t i = 1; i < t->n_rcpts; i++)
		is_again[v[i].place] = str_eq(v[i].key, v[i - 1].key);
	for (size_t i = 0; i < t->n_rcpts; i++)
		if (!is_again[i])
			once[n++] = t->rcpts[i];
	*out = once;
	return n;
}

static void offer(struct listen_session *s)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;
	struct listen_client c = listen_session_client(s, t->arena);
	struct listen_message m = {
		.spool = t->spool,
		.client = &c,
		.sender = t->mail.sender,
		.ret = t->mail.ret,
		.envid = t->mail.envid,
		.is_smtputf8 = t->mail.is_smtputf8,
		.is_requiretls = t->mail.is_requiretls,
		.is_8bitmime = t->mail.body == SMTP_BODY_8BITMIME,
		.scan = &t->scan,
		.arrived_ms = l->utc_ms(),
	};

	m.n_rcpts = each_once(t, &m.rcpts);
	t->has_spool = false; /* it moves */
	l->calls->accept(l->arg, listen_session_request(s, LISTEN_REQUEST_MESSAGE), &m);
}

static void end_content(struct listen_session *s)
{
	struct listen *l = s->port->listen;
	struct listen_transaction *t = s->mail;

	begin(s);
	if (!t->refusal.code) {
		buf_reset(&l->scratch);
		message_head_end(&t->head, &l->scratch);
		keep(s, buf_str(&l->scratch));
		message_scan_end(&t->scan);
	}
	/* RFC 5321 section 6.3 */
	if (!t->refusal.code && t->head.n_received >= s->port->setting->hopcount_limit)
		t->refusal = (struct smtp_reply){ 554, STATUS(5, 4, 6), STR("too many hops") };
}

void listen_message_end(struct listen_session *s, size_t index)
{
	if (index > 0) { /* LMTP: for another recipient */
		say_result(s, index);
		return;
	}
	end_content(s);
	if (s->mail->refusal.code)
		listen_message_answer(s);
	else
		offer(s);
}
