/* Notifications: the sender of a message hears what became of its recipients. A notice is stored in
 * the transaction that settles those that it names, and is then mail like any other. */

#include <stdlib.h>

#include "mail/domain.h"
#include "os/os.h"
#include "queue/inside.h"

enum { NOTICE_ORIGINAL_TRIES = 3 }; /* then it goes without what it is about */

/* A postmaster who is told, too, is told first: after the sender's notice what it is about may be
 * gone. His is mail of its own, and the sender's does not depend on it. */
struct notice {
	struct list link; /* in queue.notices */
	struct queue *queue;
	uint64_t since;
	struct queue_site *site;
	struct queue_message *about;
	struct arena *arena;
	enum dsn_kind kind;
	struct dsn_rcpt *rcpts;
	uint32_t *indexes;
	size_t n;
	struct notice *copy; /* the postmaster's, which this waits for */
	struct notice *then; /* of a copy: the sender's */
	bool is_copy;
	struct str to, from_envelope; /* to "": nobody is told */
	enum log_event_id event;
	struct str message_id; /* of the notification */
	struct queue_route *route;
	struct net_timer *retry;
	unsigned n_unreadable; /* how often what it is about could not be read */
	bool is_gone;          /* what it is about: an operator has deleted it */
	bool is_waiting, is_storing;
	struct store_message message;
	struct store_rcpt rcpt;
	struct store_content *content;
};

static void notice_free(struct notice *x)
{
	struct queue *q = x->queue;

	if (x->copy)
		x->copy->then = NULL;
	if (x->then)
		x->then->copy = NULL;
	list_remove(&x->link);
	queue_route_free(x->route);
	net_timer_free(x->retry);
	store_content_unref(x->content);
	queue_site_unref(x->site);
	queue_message_unref(x->about);
	arena_free(x->arena);
	free(x);
	queue_idle(q);
}

/* Never a notice about a notice: who is told of those is the postmaster, once. */
static void notice_address(struct notice *x)
{
	const struct queue_settings *s = x->site->settings;
	struct str sender = x->about->envelope.sender;

	x->to = sender;
	x->from_envelope = STR("");
	x->event = x->kind == DSN_FAILURE ? EVENT_bounced
		   : x->kind == DSN_DELAY ? EVENT_delayed
					  : EVENT_confirmed;
	if (sender.n > 0 && !str_ieq_ascii(sender, s->double_bounce))
		return;
	x->to = STR("");
	if (sender.n == 0 && x->kind == DSN_FAILURE && s->tells_double_bounces) {
		x->to = s->postmaster;
		x->from_envelope = s->double_bounce;
		x->event = EVENT_undeliverable_notice;
	}
}

_Static_assert(KIND_notices_success - KIND_notices_failure == DSN_SUCCESS - DSN_FAILURE,
	       "in the order of DSN kinds");

static void notice_log(const struct notice *x)
{
	char id[STORE_ID_TEXT_MAX];
	struct log_value v[] = {
		{ .field = FIELD_queue_id, .text = str_of(x->about->id_text) },
		{ .field = FIELD_notice_id,
		  .text = x->to.n > 0 ? store_id_text(x->message.id, id) : STR_NONE },
	};

	if (x->to.n > 0) {
		struct log_value m[] = {
			{ .field = FIELD_queue_id, .text = v[1].text },
			{ .field = FIELD_message_id, .text = x->message_id },
		};
		queue_log(x->queue, EVENT_message_id, m, ARRAY_LEN(m));
		queue_log(x->queue, x->event, v, 2);
		queue_log_queued(x->queue, &x->message);
		queue_count(x->queue, COUNTER_notices, 1);
		counter_kind_add(x->queue->options.counters,
				 (enum log_kind)(KIND_notices_failure + x->kind), 1);
	} else if (x->kind == DSN_FAILURE) {
		queue_log(x->queue, EVENT_discarded, v, 1);
	}
}

static void notice_go(struct notice *x);

static void notice_again(void *arg)
{
	struct notice *x = arg;

	x->is_waiting = false;
	if (x->queue->is_stopping)
		notice_free(x); /* it is made at the next start */
	else
		notice_go(x);
}

/* As often as the first retry comes, within reason. */
static uint64_t notice_pause(const struct notice *x)
{
	int64_t ms = x->queue->options.site->settings->backoff_least_ms;

	return (uint64_t)(ms < QUEUE_NOTICE_RETRY_MS ? ms : QUEUE_NOTICE_RETRY_MS);
}

/* The store may take it later: those it names stay there, finished, until it does. */
static void notice_retry(struct notice *x)
{
	struct net_loop *loop = x->queue->options.loop;

	store_content_unref(x->content);
	x->content = NULL;
	queue_route_free(x->route);
	x->route = NULL;
	x->is_waiting = true;
	if (!x->retry)
		x->retry = net_timer_new(loop, notice_again, x);
	net_timer_set(x->retry, x->queue->is_stopping ? 0 : net_loop_now(loop) + notice_pause(x));
}

/* Nothing changed: those it is about were deleted meanwhile. */
static void notice_stored(void *arg, const struct store_result *result)
{
	struct notice *x = arg;

	x->is_storing = false;
	if (result->fault != STORE_DONE)
		queue_store_fault(x->queue, "a notification", result);
	if (result->fault != STORE_DONE && result->fault != STORE_REFUSED) {
		notice_retry(x);
		return;
	}
	if (result->fault == STORE_DONE && result->changed > 0) {
		notice_log(x);
		queue_log_removed(x->queue, x->about, result);
		if (x->to.n > 0)
			queue_fresh(x->queue, &x->message, x->content, x->since);
	}
	struct queue *q = x->queue;
	notice_free(x);
	queue_pump(q);
}

/* The sender's has its turn. */
static void copy_end(struct notice *x)
{
	struct notice *then = x->then;

	notice_free(x);
	if (then)
		notice_go(then);
}

static void copy_stored(void *arg, const struct store_result *result)
{
	struct notice *x = arg;
	struct queue *q = x->queue;

	if (result->fault == STORE_DONE) {
		notice_log(x);
		queue_fresh(q, &x->message, x->content, x->since);
	} else {
		queue_store_fault(q, "a notification to the postmaster", result);
	}
	copy_end(x);
	queue_pump(q);
}

static void notice_store(struct notice *x)
{
	if (x->is_copy) {
		x->since = net_loop_now(x->queue->options.loop);
		x->is_storing = true;
		store_accept(x->queue->store, &x->message, x->content, STORE_ACCEPT_QUEUED,
			     copy_stored, x);
		return;
	}
	struct store_notice n = {
		.kind = x->kind == DSN_DELAY ? STORE_NOTICE_DELAY : STORE_NOTICE_FINAL,
		.about = x->about->envelope.id,
		.indexes = x->indexes,
		.n_indexes = x->n,
		.message = x->to.n > 0 ? &x->message : NULL,
		.content = x->content,
	};

	x->since = net_loop_now(x->queue->options.loop);
	x->is_storing = true;
	store_bounce(x->queue->store, &n, notice_stored, x);
}

/* ---- the text ---- */

/* Where the header section ends, in pieces; or its last line within bounce_size_limit. */
struct header_cut {
	uint64_t left;
	bool is_inside_line, is_over;
};

static struct str header_part(struct header_cut *cut, struct str piece)
{
	struct str rest = piece;
	size_t end;

	while (rest.n > 0 && !cut->is_over) {
		bool has_end = str_find(rest, '\n', &end);
		struct str line = str_first(rest, has_end ? end + 1 : rest.n);
		cut->is_over = !cut->is_inside_line &&
			       ((has_end && str_trim(line).n == 0) || line.n > cut->left);
		if (!cut->is_over)
			rest = str_from(rest, line.n);
		cut->left -= line.n < cut->left ? line.n : cut->left;
		cut->is_inside_line = !has_end;
	}
	return str_first(piece, piece.n - rest.n);
}

/* All of it; or of its header section, when there is a limit, what is within that. */
static bool add_original(struct notice *x, struct store_spool *spool, struct content *c,
			 uint64_t header_limit, struct error *e)
{
	struct header_cut cut = { .left = header_limit };
	struct str piece;
	uint64_t at = 0;

	while (content_read(c, at, &piece, e)) {
		if (piece.n == 0 || cut.is_over)
			return true;
		at += piece.n;
		if (!store_spool_add(spool, header_limit > 0 ? header_part(&cut, piece) : piece, e))
			return false;
	}
	x->n_unreadable++;
	return false;
}

/* Without it when it cannot be read: the sender is to hear. That no descriptor is left says nothing
 * about it, and no more does a disk that takes nothing. */
static struct content *original_open(struct notice *x, struct store_content **kept, struct error *e)
{
	if (x->n_unreadable >= NOTICE_ORIGINAL_TRIES)
		return content_of_memory(STR(""));
	if (!store_content_open(store_client_reader(x->queue->store), x->about->envelope.id, kept,
				e)) {
		x->n_unreadable++;
		return NULL;
	}
	if (!*kept) {
		x->is_gone = true;
		error_set(e, ERROR_NO_INPUT, "the message is gone");
		return NULL;
	}
	if (!store_content_is_file(*kept))
		return content_of_memory(store_content_memory(*kept));
	int fd = store_content_descriptor(*kept, e);
	x->n_unreadable += fd < 0 && e->kind != ERROR_LIMIT;
	return fd < 0 ? NULL : content_of_fd(fd);
}

static bool is_header_only(const struct notice *x)
{
	const struct store_message *m = &x->about->envelope;

	return x->is_copy || x->kind != DSN_FAILURE || x->n_unreadable >= NOTICE_ORIGINAL_TRIES ||
	       str_ieq_ascii(m->ret, STR("HDRS")) || (m->flags & STORE_REQUIRETLS) ||
	       m->size > x->site->settings->bounce_size_limit;
}

static struct dsn notice_dsn(const struct notice *x, const char *id)
{
	const struct queue_settings *s = x->site->settings;
	const struct store_message *m = &x->about->envelope;
	uint64_t random[2];

	os_random(random, sizeof(random));
	return (struct dsn){
		.kind = x->kind,
		.reporting_mta = s->hostname,
		.from = s->daemon,
		.to = x->to,
		.queue_id = str_of(x->about->id_text),
		.message_id = arena_fmt(x->arena, "<%s@" STR_FMT ">", id, STR_ARG(s->hostname)),
		.boundary = arena_fmt(x->arena, "%s.%016llx%016llx", id,
				      (unsigned long long)random[0], (unsigned long long)random[1]),
		.sender = m->sender,
		.envid = m->envid,
		.now_utc = queue_now_utc() / 1000,
		.arrived_utc = m->arrived_ms / 1000,
		.retry_until_utc = (m->arrived_ms + s->lifetime_ms) / 1000,
		.is_smtputf8 = m->flags & STORE_SMTPUTF8,
		.is_header_only = is_header_only(x),
		.is_copy = x->is_copy,
		.has_tls_required_no = m->flags & STORE_TLS_REQUIRED_NO,
		.rcpts = x->rcpts,
		.n_rcpts = x->n,
	};
}

static bool write_text(struct notice *x, struct store_spool *spool, const struct dsn *d,
		       struct content *original, struct error *e)
{
	uint64_t limit = d->is_header_only ? x->site->settings->bounce_size_limit : 0;
	struct buf text;
	bool is_good;

	buf_init(&text, NOTICE_TEXT_MAX);
	is_good = dsn_write_front(&text, d) ? store_spool_add(spool, buf_str(&text), e)
					    : error_set(e, ERROR_LIMIT, "the notice is too long");
	buf_reset(&text);
	is_good = is_good && add_original(x, spool, original, limit, e) &&
		  dsn_write_end(&text, d) && store_spool_add(spool, buf_str(&text), e);
	buf_fini(&text);
	return is_good;
}

static bool notice_write(struct notice *x, struct error *e)
{
	char id[STORE_ID_TEXT_MAX];
	struct store_content *kept = NULL;

	x->message.id = store_client_id(x->queue->store);
	struct dsn d = notice_dsn(x, store_id_text(x->message.id, id).p);
	x->message_id = d.message_id;
	struct content *original = original_open(x, &kept, e);
	struct store_spool *spool =
		original ? store_spool_new(x->queue->store, x->message.id) : NULL;
	if (spool && write_text(x, spool, &d, original, e))
		x->content = store_spool_finish(spool, e);
	else
		store_spool_free(spool);
	content_free(original);
	store_content_unref(kept);
	return x->content != NULL;
}

static unsigned notice_flags(const struct notice *x)
{
	unsigned of = x->about->envelope.flags, flags = STORE_8BIT;

	/* what it quotes stands in parts of types of their own, which need no SMTPUTF8 (RFC 6533);
	 * the server of a sender in ASCII may well not know it */
	if (!domain_is_ascii(x->to) || !domain_is_ascii(x->site->settings->daemon))
		flags |= STORE_SMTPUTF8;
	flags |= of & STORE_TLS_REQUIRED_NO;
	if ((of & STORE_REQUIRETLS) && !x->site->settings->redacts_requiretls)
		flags |= STORE_REQUIRETLS;
	return flags;
}

/* ---- from the beginning ---- */

static void notice_routed(void *arg, const struct route *r, const struct error *e)
{
	struct notice *x = arg;
	struct error why;

	/* "": it is routed when it is tried */
	x->rcpt.destination =
		!e && r->kind == ROUTE_DELIVER ? queue_destination(x->arena, r) : STR("");
	x->rcpt.address = !e ? arena_str(x->arena, r->recipient) : x->to;
	x->rcpt.notify = STR(""); /* of its failure a postmaster may hear */
	x->rcpt.orcpt = STR("");
	if (!notice_write(x, &why)) {
		queue_log_trouble(x->queue, &why);
		if (x->is_copy)
			copy_end(x);
		else if (x->is_gone)
			notice_free(x);
		else
			notice_retry(x);
		return;
	}
	x->message.arrived_ms = queue_now_utc();
	x->message.flags = notice_flags(x);
	x->message.size = store_content_size(x->content);
	x->message.sender = x->from_envelope;
	x->message.rcpts = &x->rcpt;
	x->message.n_rcpts = 1;
	notice_store(x);
}

static void notice_go(struct notice *x)
{
	if (x->to.n == 0)
		notice_store(x);
	else
		x->route = queue_route_new(x->queue, x->to, notice_routed, x);
}

static size_t n_told(const struct queue_message *m, enum dsn_kind kind, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < m->n_told && n < NOTICE_RCPTS_MAX; i++)
		n += m->told[i].kind == kind;
	return n;
}

/* Of what a sender is told; not of notices, and not too often. */
static bool copy_is_wanted(const struct notice *x)
{
	struct queue *q = x->queue;
	uint64_t now = net_loop_now(q->options.loop);

	if ((x->kind != DSN_FAILURE && x->kind != DSN_DELAY) || x->to.n == 0 ||
	    x->from_envelope.n > 0 || x->site->settings->copies_to[x->kind].n == 0)
		return false;
	if (q->copies[x->kind].n == 0 || now - q->copies[x->kind].since >= QUEUE_COPIES_MS) {
		q->copies[x->kind].since = now;
		q->copies[x->kind].n = 0;
	}
	return q->copies[x->kind].n++ < QUEUE_COPIES_MAX;
}

static struct notice *copy_new(struct notice *of)
{
	struct notice *x = base_alloc(sizeof(*x));

	x->queue = of->queue;
	x->site = of->site;
	queue_site_ref(x->site);
	x->about = of->about;
	queue_message_ref(x->about);
	x->arena = arena_new();
	x->kind = of->kind;
	x->rcpts = of->rcpts;
	x->n = of->n;
	x->is_copy = true;
	x->to = x->site->settings->copies_to[x->kind];
	x->from_envelope = x->site->settings->double_bounce;
	x->event = x->kind == DSN_DELAY ? EVENT_postmaster_delayed : EVENT_postmaster_bounced;
	x->then = of;
	of->copy = x;
	list_add(&x->queue->notices, &x->link);
	queue_busy(x->queue);
	return x;
}

/* Names `n` of that kind from *at on. */
static void notice_begin(struct queue_message *m, enum dsn_kind kind, size_t *at, size_t n)
{
	struct queue *q = m->queue;
	struct notice *x = base_alloc(sizeof(*x));

	x->queue = q;
	x->site = q->options.site;
	queue_site_ref(x->site);
	x->about = m;
	queue_message_ref(m);
	x->arena = arena_new();
	x->kind = kind;
	x->rcpts = ARENA_ARRAY(x->arena, n, struct dsn_rcpt);
	x->indexes = ARENA_ARRAY(x->arena, n, uint32_t);
	for (; x->n < n; ++*at) {
		if (m->told[*at].kind != kind)
			continue;
		x->rcpts[x->n] = m->told[*at].rcpt; /* texts live with the message */
		x->indexes[x->n++] = m->told[*at].index;
	}
	list_add(&q->notices, &x->link);
	queue_busy(q);
	notice_address(x);
	if (copy_is_wanted(x))
		notice_go(copy_new(x));
	else
		notice_go(x);
}

static void notices_begin(struct queue_message *m, enum dsn_kind kind)
{
	size_t n;

	for (size_t at = 0; (n = n_told(m, kind, at)) > 0;)
		notice_begin(m, kind, &at, n);
}

void queue_notice_start(struct queue_message *m)
{
	if (m->queue->is_stopping)
		return; /* it is made at the next start */
	notices_begin(m, DSN_FAILURE);
	notices_begin(m, DSN_SUCCESS);
	notices_begin(m, DSN_DELAY);
}

void queue_notices_cut(struct queue *q)
{
	for (struct list *l = q->notices.next, *next; l != &q->notices; l = next) {
		struct notice *x = LIST_OF(l, struct notice, link);
		next = l->next;
		if (x->is_waiting || (q->is_cut && !x->is_storing))
			notice_free(x);
	}
}

/* ---- what a crash left ---- */

static void recover_message(struct queue *q, const struct store_message *m)
{
	struct queue_message *here = queue_message_get(q, m);

	for (size_t i = 0; i < m->n_rcpts; i++) {
		const struct store_rcpt *r = &m->rcpts[i];
		struct queue_told t = {
			.index = r->index,
			.kind = r->last.kind == OUTCOME_DELIVERED ? DSN_SUCCESS : DSN_FAILURE,
			.rcpt = { .address = r->address,
				  .orcpt = r->orcpt,
				  .is_relayed = true,
				  .is_expired = r->last.kind == OUTCOME_DEFERRED,
				  .outcome = r->last },
		};
		queue_message_tell(here, &t);
	}
	queue_message_unref(here);
}

bool queue_notices_recover(struct queue *q, struct error *e)
{
	struct arena *a = arena_new();
	struct store_message *v;
	uint64_t after = 0;
	size_t n;
	bool is_good;

	do {
		arena_reset(a);
		is_good = store_finished(store_client_reader(q->store), a, after, QUEUE_READ_MAX,
					 &v, &n, e);
		for (size_t i = 0; is_good && i < n; i++) {
			recover_message(q, &v[i]);
			after = v[i].id;
		}
	} while (is_good && n > 0);
	arena_free(a);
	return is_good;
}
