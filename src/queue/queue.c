#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/log.h"
#include "os/os.h"
#include "queue/inside.h"

/* ---- the site ---- */

void queue_site_ref(struct queue_site *s)
{
	s->refs++;
}

void queue_site_unref(struct queue_site *s)
{
	if (--s->refs == 0)
		s->gone(s);
}

/* ---- the team ---- */

struct queue_team {
	unsigned n;
	int64_t clock_told_ms; /* atomic, as are the next two */
	uint64_t changed_at;   /* monotonic: when an operator changed something last */
	unsigned n_changing;   /* who do so now */
	struct queue_claims *claims;
	uint64_t transport_next[SCHED_TRANSPORTS]; /* of sched_options */
	struct net_chan *chan[];
};

enum queue_note_kind { QUEUE_NOTE_FRESH, QUEUE_NOTE_BACKLOG, QUEUE_NOTE_CHANGED };

struct queue_note {
	struct net_note note;
	enum queue_note_kind kind;
	struct arena *arena;
	struct store_message message; /* FRESH: with the recipients of one destination */
	struct store_content *content;
	uint64_t since;
	struct str destination; /* BACKLOG */
	int64_t due_ms;
	struct store_selection selection; /* CHANGED */
};

struct queue_team *queue_team_new(unsigned n_members)
{
	struct queue_team *t = base_alloc(sizeof(*t) + n_members * sizeof(struct net_chan *));

	t->n = n_members;
	t->claims = queue_claims_new();
	return t;
}

void queue_team_free(struct queue_team *t)
{
	if (!t)
		return;
	queue_claims_free(t->claims);
	free(t);
}

int64_t *queue_team_clock(struct queue_team *t)
{
	return &t->clock_told_ms;
}

static unsigned team_owner(const struct queue_team *t, struct str destination)
{
	uint64_t h = str_hash(destination);

	return (unsigned)((h ^ h >> 32) % t->n);
}

static struct queue_note *note_new(enum queue_note_kind kind)
{
	struct queue_note *n = base_alloc(sizeof(*n));

	n->kind = kind;
	n->arena = arena_new();
	return n;
}

static void note_free(struct queue_note *n)
{
	store_content_unref(n->content);
	arena_free(n->arena);
	free(n);
}

void queue_team_changing(struct queue_team *t, bool has_begun)
{
	if (has_begun)
		__atomic_add_fetch(&t->n_changing, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_sub_fetch(&t->n_changing, 1, __ATOMIC_SEQ_CST);
}

void queue_team_changed(struct queue_team *t, const struct store_selection *which)
{
	__atomic_store_n(&t->changed_at, os_now_ms(), __ATOMIC_RELEASE);
	for (unsigned i = 0; i < t->n; i++) {
		struct queue_note *n = note_new(QUEUE_NOTE_CHANGED);
		n->selection = *which;
		n->selection.destination = arena_str(n->arena, which->destination);
		net_chan_post(t->chan[i], &n->note);
	}
}

/* ---- small things ---- */

int64_t queue_now_utc(void)
{
	return os_utc_ns() / 1000000;
}

uint64_t queue_due(const struct queue *q, int64_t due_ms)
{
	uint64_t now = net_loop_now(q->options.loop);
	int64_t wait = due_ms - queue_now_utc();
	int64_t most = q->options.site->settings->backoff_most_ms;

	if (wait <= 0)
		return now;
	return now + (uint64_t)(wait < most ? wait : most);
}

struct sched_dest *queue_dest(struct queue *q, struct str destination)
{
	struct str transport, nexthop;

	queue_destination_cut(destination, &transport, &nexthop);
	return sched_dest(q->sched, destination, queue_limits(q->options.site->settings, transport),
			  net_loop_now(q->options.loop));
}

bool queue_is_mine(const struct queue *q, struct str destination)
{
	return team_owner(q->options.team, destination) == q->options.member;
}

bool queue_changed_since(const struct queue *q, uint64_t at)
{
	const struct queue_team *t = q->options.team;

	return __atomic_load_n(&t->n_changing, __ATOMIC_SEQ_CST) > 0 ||
	       __atomic_load_n(&t->changed_at, __ATOMIC_ACQUIRE) >= at;
}

struct queue_claims *queue_claims(const struct queue *q)
{
	return q->options.team->claims;
}

void queue_log(const struct queue *q, enum log_event_id id, const struct log_value *v, size_t n)
{
	struct log_event e = { .id = id, .values = v, .n_values = n };

	os_log_event(q->options.log, &e);
}

void queue_log_trouble(const struct queue *q, const struct error *e)
{
	struct log_value v = { .field = FIELD_reason, .text = error_text(e) };

	queue_log(q, EVENT_trouble, &v, 1);
}

void queue_count(const struct queue *q, enum log_counter id, uint64_t n)
{
	counter_add(q->options.counters, id, n);
}

void queue_store_fault(const struct queue *q, const char *what, const struct store_result *r)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "the queue could not keep %s: " STR_FMT ": " STR_FMT,
			 what, STR_ARG(store_fault_name(r->fault)), STR_ARG(r->text));
	struct log_value v = { .field = FIELD_reason };

	v.text = str_span(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	queue_log(q, EVENT_trouble, &v, 1);
	queue_count(q, COUNTER_store_faults, 1);
}

static void queue_check_stopped(void *arg)
{
	struct queue *q = arg;

	if (!q->is_stopping || q->n_busy > 0 || q->is_told_stopped ||
	    store_client_waiting(q->store) > 0)
		return;
	q->is_told_stopped = true;
	q->stopped(q->stopped_arg);
}

void queue_busy(struct queue *q)
{
	q->n_busy++;
}

void queue_idle(struct queue *q)
{
	CHECK(q->n_busy > 0);
	if (--q->n_busy == 0 && q->is_stopping)
		net_timer_set(q->timer, 0); /* from the loop: the caller may still be at work */
}

/* ---- the pump ---- */

/* What was delivered and cannot be recorded would be delivered again after a crash: not the whole
 * queue of it. The attempts that wait ask the store, and go on here when it takes them. */
static bool is_held_up(const struct queue *q)
{
	return q->n_unkept >= QUEUE_UNKEPT_MAX;
}

void queue_pump(struct queue *q)
{
	uint64_t now = net_loop_now(q->options.loop);
	struct sched_start start;
	struct sched_dest *d;
	unsigned room;
	bool is_more = !q->is_resting && !is_held_up(q);

	queue_clock_look(q);
	while (is_more) {
		while (sched_next(q->sched, now, &start))
			queue_attempt_start(q, &start);
		is_more = sched_refill(q->sched, now, &d, &room);
		if (is_more)
			queue_refill(q, d, room);
	}
	if (!q->is_resting && !is_held_up(q))
		net_timer_set(q->timer, sched_deadline(q->sched));
}

static void queue_wake(void *arg)
{
	struct queue *q = arg;

	queue_pump(q);
	queue_check_stopped(q);
}

/* ---- mail that came just now ---- */

static void add_part(struct queue *q, struct sched_dest *d, const struct store_message *m,
		     struct store_content *content)
{
	struct queue_message *here = queue_message_get(q, m);
	struct str name = sched_view(d, 0).name;

	if (!here->content && content)
		here->content = store_content_ref(content);
	(void)queue_parts_add(here, d, m->rcpts, m->n_rcpts, queue_is_deliverable(name));
	queue_message_unref(here);
}

/* The store was read, or changed by an operator, after the message was given to it: it may have
 * been read with the rest, be delivered and gone already, or held. */
static void add_if_there(struct queue *q, struct sched_dest *d, const struct store_message *m,
			 struct store_content *content, struct str destination)
{
	struct store_rcpt *rcpts = base_alloc(m->n_rcpts * sizeof(*rcpts));
	struct store_message left = *m;
	struct error e;

	left.rcpts = rcpts;
	if (!queue_still_there(q, m, rcpts, &left.n_rcpts, &e)) {
		queue_log_trouble(q, &e);
		queue_tell_backlog(q, destination, queue_now_utc());
	} else if (left.n_rcpts > 0) {
		add_part(q, d, &left, content);
	}
	free(rcpts);
}

static void add_fresh(struct queue *q, const struct store_message *m, struct store_content *content,
		      struct str destination, uint64_t since)
{
	struct sched_dest *d = queue_dest(q, destination);
	uint64_t now = net_loop_now(q->options.loop);

	if (!sched_has_room(q->sched, d))
		sched_backlog(q->sched, d, now, now);
	else if (sched_view(d, now).refilled_at >= since || queue_changed_since(q, since))
		add_if_there(q, d, m, content, destination);
	else
		add_part(q, d, m, content);
}

static void send_fresh(struct queue *q, const struct store_message *m,
		       struct store_content *content, struct str destination, uint64_t since)
{
	struct queue_note *n = note_new(QUEUE_NOTE_FRESH);
	struct store_rcpt *rcpts = ARENA_ARRAY(n->arena, m->n_rcpts, struct store_rcpt);

	n->message = *m;
	n->message.sender = arena_str(n->arena, m->sender);
	n->message.ret = arena_str(n->arena, m->ret);
	n->message.envid = arena_str(n->arena, m->envid);
	n->message.client = STR("");
	n->message.rcpts = rcpts;
	for (size_t i = 0; i < m->n_rcpts; i++) {
		rcpts[i] = m->rcpts[i];
		rcpts[i].destination = arena_str(n->arena, destination);
		rcpts[i].address = arena_str(n->arena, m->rcpts[i].address);
		rcpts[i].orcpt = arena_str(n->arena, m->rcpts[i].orcpt);
		rcpts[i].notify = arena_str(n->arena, m->rcpts[i].notify);
		rcpts[i].last = (struct outcome){ 0 };
	}
	n->content = content ? store_content_ref(content) : NULL;
	n->since = since;
	net_chan_post(q->options.team->chan[team_owner(q->options.team, destination)], &n->note);
}

static int by_destination(const void *a, const void *b)
{
	const struct store_rcpt *x = a, *y = b;
	int order = str_cmp(x->destination, y->destination);

	return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

void queue_fresh(struct queue *q, const struct store_message *m, struct store_content *content,
		 uint64_t since)
{
	struct store_rcpt *sorted = base_alloc(m->n_rcpts * sizeof(*sorted));

	memcpy(sorted, m->rcpts, m->n_rcpts * sizeof(*sorted));
	for (size_t i = 0; i < m->n_rcpts; i++)
		sorted[i].index = (uint32_t)i;
	qsort(sorted, m->n_rcpts, sizeof(*sorted), by_destination);
	for (size_t i = 0, n; i < m->n_rcpts; i += n) {
		struct store_message part = *m;
		for (n = 1; i + n < m->n_rcpts &&
			    str_eq(sorted[i + n].destination, sorted[i].destination);)
			n++;
		part.rcpts = &sorted[i];
		part.n_rcpts = n;
		if (queue_is_mine(q, sorted[i].destination))
			add_fresh(q, &part, content, sorted[i].destination, since);
		else
			send_fresh(q, &part, content, sorted[i].destination, since);
	}
	free(sorted);
}

struct accepting {
	struct queue *queue;
	uint64_t since;
	struct arena *arena;
	struct store_message message;
	struct store_content *content;
	enum store_accept_how how;
	store_done *done;
	void *arg;
};

void queue_log_queued(const struct queue *q, const struct store_message *m)
{
	char id[STORE_ID_TEXT_MAX];
	struct log_value v[] = {
		{ .field = FIELD_queue_id, .text = store_id_text(m->id, id) },
		{ .field = FIELD_from, .text = m->sender },
		{ .field = FIELD_size, .number = (int64_t)m->size },
		{ .field = FIELD_nrcpt, .number = (int64_t)m->n_rcpts },
	};

	queue_log(q, EVENT_queued, v, ARRAY_LEN(v));
}

void queue_log_removed(const struct queue *q, const struct queue_message *m,
		       const struct store_result *result)
{
	struct log_value v = { .field = FIELD_queue_id, .text = str_of(m->id_text) };

	if (result->removed > 0)
		queue_log(q, EVENT_removed, &v, 1);
}

static void accepted(void *arg, const struct store_result *result)
{
	struct accepting *x = arg;
	struct queue *q = x->queue;

	if (result->fault != STORE_DONE)
		queue_store_fault(q, "a message", result);
	x->done(x->arg, result);
	if (result->fault == STORE_DONE) {
		queue_count(q, COUNTER_messages_accepted, 1);
		queue_count(q, COUNTER_accepted_bytes, x->message.size);
		queue_log_queued(q, &x->message);
		if (x->how == STORE_ACCEPT_QUEUED)
			queue_fresh(q, &x->message,
				    store_content_is_crowding(x->content) ? NULL : x->content,
				    x->since);
	}
	store_content_unref(x->content);
	arena_free(x->arena);
	free(x);
	queue_idle(q);
	queue_pump(q);
}

void queue_accept(struct queue *q, const struct store_message *m, struct store_content *content,
		  enum store_accept_how how, store_done *done, void *arg)
{
	struct accepting *x = base_alloc(sizeof(*x));
	struct store_rcpt *rcpts;

	x->queue = q;
	x->since = net_loop_now(q->options.loop);
	x->arena = arena_new();
	x->message = *m;
	x->message.sender = arena_str(x->arena, m->sender);
	x->message.ret = arena_str(x->arena, m->ret);
	x->message.envid = arena_str(x->arena, m->envid);
	x->message.size = store_content_size(content);
	rcpts = ARENA_ARRAY(x->arena, m->n_rcpts, struct store_rcpt);
	for (size_t i = 0; i < m->n_rcpts; i++) {
		rcpts[i] = m->rcpts[i];
		rcpts[i].destination = arena_str(x->arena, m->rcpts[i].destination);
		rcpts[i].address = arena_str(x->arena, m->rcpts[i].address);
		rcpts[i].orcpt = arena_str(x->arena, m->rcpts[i].orcpt);
		rcpts[i].notify = arena_str(x->arena, m->rcpts[i].notify);
		rcpts[i].last = (struct outcome){ 0 };
	}
	x->message.rcpts = rcpts;
	x->content = store_content_ref(content);
	x->how = how;
	x->done = done;
	x->arg = arg;
	queue_busy(q);
	store_accept(q->store, m, content, how, accepted, x);
}

/* ---- notes ---- */

void queue_tell_backlog(struct queue *q, struct str destination, int64_t due_ms)
{
	if (queue_is_mine(q, destination)) {
		sched_backlog(q->sched, queue_dest(q, destination), queue_due(q, due_ms),
			      net_loop_now(q->options.loop));
		return;
	}
	struct queue_note *n = note_new(QUEUE_NOTE_BACKLOG);

	n->destination = arena_str(n->arena, destination);
	n->due_ms = due_ms;
	net_chan_post(q->options.team->chan[team_owner(q->options.team, destination)], &n->note);
}

/* A part that waits goes back to the store, which knows better now. */
static void part_drop(struct queue *q, struct queue_part *p)
{
	if (!list_is_in(&p->sched.link))
		return;
	sched_remove(q->sched, &p->sched, net_loop_now(q->options.loop));
	for (unsigned i = p->sched.n_taken; i < p->sched.n_rcpts; i++)
		queue_part_settle(p, &p->rcpts[i]); /* wherever they wait now */
	p->is_taken_back = true;
	queue_part_check(p);
}

static void message_drop(struct queue *q, struct queue_message *m, struct str destination)
{
	queue_message_ref(m);
	for (struct list *l = m->parts.next, *next; l != &m->parts; l = next) {
		struct queue_part *p = LIST_OF(l, struct queue_part, of_message);
		next = l->next;
		if (destination.n == 0 || str_eq(p->destination, destination))
			part_drop(q, p);
	}
	queue_message_unref(m);
}

static void messages_drop(struct queue *q, struct str destination)
{
	for (size_t i = 0; i < q->n_buckets; i++) {
		for (struct queue_message *m = q->bucket[i], *next; m; m = next) {
			next = m->next_in_bucket;
			message_drop(q, m, destination);
		}
	}
}

static void wake_destination(void *arg, struct sched_dest *d)
{
	struct queue *q = arg;

	sched_wake(q->sched, d, net_loop_now(q->options.loop));
}

/* As often as the first retry comes, within reason. */
static uint64_t sweep_interval(const struct queue *q)
{
	int64_t ms = q->options.site->settings->backoff_least_ms;
	int64_t most = q->is_load_due || q->is_recover_due ? QUEUE_READ_RETRY_MS : QUEUE_SWEEP_MS;

	return (uint64_t)(ms < most ? ms : most);
}

/* Reads when what was changed is due: released mail may be of a destination that is not known here,
 * and mail to be routed anew is of the one without a name. */
static void queue_reload(struct queue *q, const struct store_selection *which)
{
	struct error e;
	bool is_read = false;

	switch (which->reach) {
	case STORE_ALL:
		is_read = queue_load_all(q, &e);
		break;
	case STORE_OF_DESTINATION:
		is_read = queue_load_destination(q, which->destination, &e) &&
			  queue_load_destination(q, STR(""), &e);
		break;
	case STORE_OF_MESSAGE:
	case STORE_OF_RECIPIENT:
		is_read = queue_load_message(q, which->message, &e);
		break;
	}
	if (is_read)
		return;
	queue_log_trouble(q, &e);
	q->is_load_due = true;
	net_timer_set(q->sweep_timer, net_loop_now(q->options.loop) + sweep_interval(q));
}

static void queue_changed(struct queue *q, const struct store_selection *which)
{
	struct queue_message *m;
	struct sched_dest *d;

	switch (which->reach) {
	case STORE_ALL:
		messages_drop(q, STR(""));
		sched_each(q->sched, wake_destination, q);
		break;
	case STORE_OF_DESTINATION:
		messages_drop(q, which->destination);
		d = sched_dest_find(q->sched, which->destination);
		if (d)
			wake_destination(q, d);
		break;
	case STORE_OF_MESSAGE:
	case STORE_OF_RECIPIENT:
		m = queue_message_find(q, which->message);
		if (m)
			message_drop(q, m, STR(""));
		break;
	}
	queue_reload(q, which);
}

static void queue_received(void *arg, struct net_note *note)
{
	struct queue *q = arg;
	struct queue_note *n = (struct queue_note *)(void *)note;

	switch (n->kind) {
	case QUEUE_NOTE_FRESH:
		add_fresh(q, &n->message, n->content, n->message.rcpts[0].destination, n->since);
		break;
	case QUEUE_NOTE_BACKLOG:
		queue_tell_backlog(q, n->destination, n->due_ms);
		break;
	case QUEUE_NOTE_CHANGED:
		queue_changed(q, &n->selection);
		break;
	}
	note_free(n);
	queue_pump(q);
}

/* ---- from outside ---- */

/* What is due and what is to be told, unless they were read already. */
static bool queue_read(struct queue *q, struct error *e)
{
	q->is_load_due = q->is_load_due && !queue_load_all(q, e);
	if (q->is_load_due)
		return false;
	q->is_recover_due = q->is_recover_due && !queue_notices_recover(q, e);
	return !q->is_recover_due;
}

static void queue_sweep_all(struct queue *q)
{
	queue_sweep(q);
	net_timer_set(q->sweep_timer, net_loop_now(q->options.loop) + sweep_interval(q));
	queue_pump(q);
}

static void queue_sweep_now(void *arg)
{
	struct queue *q = arg;
	struct error e;

	if (q->is_stopping)
		return;
	if (!queue_read(q, &e))
		queue_log_trouble(q, &e);
	queue_sweep_all(q);
}

static void queue_cut(void *arg)
{
	struct queue *q = arg;

	q->is_cut = true;
	queue_attempts_cut(q);
	queue_notices_cut(q);
}

struct queue *queue_new(const struct queue_options *o, struct error *e)
{
	struct queue *q = base_alloc(sizeof(*q));
	struct sched_options sched = o->site->settings->sched;

	q->options = *o;
	q->store = store_client_new(o->store, o->loop, e);
	if (!q->store) {
		queue_site_unref(o->site);
		free(q);
		return NULL;
	}
	os_random(&sched.seed, sizeof(sched.seed));
	sched.transport_next = o->team->transport_next;
	q->sched = sched_new(&sched);
	q->n_buckets = QUEUE_BUCKETS_FIRST;
	q->bucket = base_alloc(q->n_buckets * sizeof(struct queue_message *));
	list_init(&q->attempts);
	list_init(&q->notices);
	q->timer = net_timer_new(o->loop, queue_wake, q);
	q->sweep_timer = net_timer_new(o->loop, queue_sweep_now, q);
	q->stop_timer = net_timer_new(o->loop, queue_cut, q);
	q->notes = net_chan_new(o->loop, queue_received, q);
	net_chan_hold(q->notes);
	o->team->chan[o->member] = q->notes;
	return q;
}

bool queue_start(struct queue *q, struct error *e)
{
	q->is_load_due = true;
	q->is_recover_due = q->options.member == 0;
	bool is_read = queue_read(q, e);

	queue_sweep_all(q);
	return is_read;
}

static void set_sched(struct queue *q)
{
	struct sched_options o = q->options.site->settings->sched;

	if (q->attempts_most > 0 && q->attempts_most < o.attempts_max)
		o.attempts_max = q->attempts_most;
	sched_set_options(q->sched, &o);
}

void queue_set_most(struct queue *q, unsigned attempts)
{
	q->attempts_most = attempts;
	set_sched(q);
	queue_pump(q);
}

/* The limits of now. */
static void limit_destination(void *arg, struct sched_dest *d)
{
	(void)queue_dest(arg, sched_view(d, 0).name);
}

void queue_set_site(struct queue *q, struct queue_site *site)
{
	struct queue_site *old = q->options.site;

	q->options.site = site;
	set_sched(q);
	sched_each(q->sched, limit_destination, q);
	queue_site_unref(old);
	queue_pump(q);
}

void queue_rest(struct queue *q)
{
	q->is_resting = true;
}

void queue_stop(struct queue *q, uint64_t limit_ms, void (*stopped)(void *arg), void *arg)
{
	queue_rest(q);
	q->is_stopping = true;
	q->stopped = stopped;
	q->stopped_arg = arg;
	queue_notices_cut(q);
	net_timer_set(q->stop_timer, net_loop_now(q->options.loop) + limit_ms);
	net_timer_set(q->timer, 0);
}

void queue_hurry(struct queue *q)
{
	net_timer_set(q->stop_timer, 0);
}

static void queue_drop_all(struct queue *q)
{
	struct net_note *note;

	messages_drop(q, STR(""));
	while ((note = net_chan_take(q->notes)))
		note_free((struct queue_note *)(void *)note);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	q->is_stopping = true;
	queue_drop_all(q);
	net_chan_release(q->notes);
	net_chan_free(q->notes);
	net_timer_free(q->timer);
	net_timer_free(q->sweep_timer);
	net_timer_free(q->stop_timer);
	sched_free(q->sched);
	CHECK(q->n_messages == 0);
	free(q->bucket);
	queue_grounds_forget(q);
	store_client_free(q->store);
	queue_site_unref(q->options.site);
	free(q);
}

struct store_client *queue_store(struct queue *q)
{
	return q->store;
}

struct each_destination {
	void (*each)(void *arg, const struct sched_dest_view *v);
	void *arg;
	uint64_t now;
};

static void view_destination(void *arg, struct sched_dest *d)
{
	struct each_destination *x = arg;
	struct sched_dest_view v = sched_view(d, x->now);

	x->each(x->arg, &v);
}

void queue_each_destination(struct queue *q,
			    void (*each)(void *arg, const struct sched_dest_view *v), void *arg)
{
	struct each_destination x = { each, arg, net_loop_now(q->options.loop) };

	sched_each(q->sched, view_destination, &x);
}

struct sched_totals queue_totals(const struct queue *q)
{
	return sched_totals(q->sched);
}
