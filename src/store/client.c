/* A loop's side of the store: it copies what it is asked for into notes, and hands out what comes
 * back. */

#include <stdlib.h>

#include "os/os.h"
#include "store/room.h"

enum { CLIENT_SPARE_MAX = 64 }; /* arenas kept for the next notes */

struct store_client {
	struct store *store;
	struct net_chan *chan;
	struct store_reader *reader;
	struct store_ids ids;
	size_t n_waiting;
	struct arena *spare[CLIENT_SPARE_MAX];
	size_t n_spare;
};

/* ---- notes out and in ---- */

static struct note *
note_new(struct store_client *c, enum note_kind kind, store_done *done, void *arg)
{
	struct arena *a = c->n_spare > 0 ? c->spare[--c->n_spare] : arena_new();
	struct note *n = ARENA_NEW(a, struct note);

	n->arena = a;
	n->kind = kind;
	n->client = c;
	n->done = done;
	n->arg = arg;
	return n;
}

static void note_send(struct note *n)
{
	struct store_client *c = n->client;

	if (c->n_waiting++ == 0)
		net_chan_hold(c->chan);
	if (n->content && n->content->path)
		note_queue_put(&c->store->to_sync, n);
	else
		note_queue_put(&c->store->to_write, n);
}

void note_return(struct note *n)
{
	net_chan_post(n->client->chan, &n->link);
}

static void note_free(struct note *n)
{
	struct store_client *c = n->client;
	struct arena *a = n->arena;

	store_content_unref(n->content);
	if (n->kind == NOTE_RECORD)
		store_ground_unref(n->u.record.record.ground);
	if (c->n_spare == CLIENT_SPARE_MAX) {
		arena_free(a);
		return;
	}
	arena_reset(a);
	c->spare[c->n_spare++] = a;
}

static void received(void *arg, struct net_note *link)
{
	struct store_client *c = arg;
	struct note *n = note_of(link);

	if (--c->n_waiting == 0)
		net_chan_release(c->chan);
	n->done(n->arg, &n->result);
	note_free(n);
}

/* ---- the client ---- */

struct store_client *store_client_new(struct store *s, struct net_loop *l, struct error *e)
{
	struct store_reader *reader = store_reader_open(s->directory, e);
	struct store_client *c;

	if (!reader)
		return NULL;
	c = base_alloc(sizeof(*c));
	c->store = s;
	c->reader = reader;
	c->chan = net_chan_new(l, received, c);
	c->ids.last_us = s->last_id_us;
	c->ids.maker = (uint8_t)__atomic_fetch_add(&s->n_makers, 1, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&s->n_clients, 1, __ATOMIC_RELAXED);
	return c;
}

void store_client_free(struct store_client *c)
{
	if (!c)
		return;
	CHECK(c->n_waiting == 0);
	net_chan_free(c->chan);
	store_reader_close(c->reader);
	while (c->n_spare > 0)
		arena_free(c->spare[--c->n_spare]);
	(void)__atomic_sub_fetch(&c->store->n_clients, 1, __ATOMIC_RELEASE);
	free(c);
}

size_t store_client_waiting(const struct store_client *c)
{
	return c->n_waiting;
}

struct store_reader *store_client_reader(struct store_client *c)
{
	return c->reader;
}

uint64_t store_client_id(struct store_client *c)
{
	return store_ids_next(&c->ids, (uint64_t)os_utc_ns() / 1000);
}

struct store_spool *store_spool_new(struct store_client *c, uint64_t id)
{
	return store_spool_of(c->store, id);
}

/* ---- grounds ---- */

struct store_ground *store_ground_new(struct str text)
{
	struct store_ground *g = base_alloc(sizeof(*g) + text.n);
	char *mem = (char *)(g + 1);

	for (size_t i = 0; i < text.n; i++)
		mem[i] = text.p[i];
	g->refs = 1;
	g->text = str_span(mem, text.n);
	return g;
}

struct store_ground *store_ground_ref(struct store_ground *g)
{
	(void)__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

void store_ground_unref(struct store_ground *g)
{
	if (g && __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(g);
}

struct str store_ground_text(const struct store_ground *g)
{
	return g->text;
}

/* ---- copies ---- */

static void copy_rcpts(struct arena *a, struct store_message *m)
{
	struct store_rcpt *v = ARENA_ARRAY(a, m->n_rcpts, struct store_rcpt);

	for (size_t i = 0; i < m->n_rcpts; i++) {
		const struct store_rcpt *from = &m->rcpts[i];
		v[i].destination = i > 0 && str_eq(from->destination, v[i - 1].destination)
					   ? v[i - 1].destination
					   : arena_str(a, from->destination);
		v[i].address = arena_str(a, from->address);
		v[i].orcpt = arena_str(a, from->orcpt);
		v[i].notify = arena_str(a, from->notify);
	}
	m->rcpts = v;
}

static struct store_message
copy_message(struct arena *a, const struct store_message *from, const struct store_content *content)
{
	struct store_message m = *from;

	CHECK(m.id != 0 && m.n_rcpts > 0 && m.n_rcpts <= SMTP_RECIPIENTS_MAX);
	CHECK(!content->path || content->id == m.id); /* the file is found by the id */
	m.size = content->size;
	m.sender = arena_str(a, m.sender);
	m.ret = arena_str(a, m.ret);
	m.envid = arena_str(a, m.envid);
	m.client = arena_str(a, m.client);
	copy_rcpts(a, &m);
	return m;
}

static struct outcome copy_outcome(struct arena *a, const struct outcome *from)
{
	struct outcome o = *from;

	o.reason = arena_str(a, o.reason);
	o.remote_host = arena_str(a, o.remote_host);
	o.reply.text = arena_str(a, o.reply.text);
	return o;
}

/* ---- what there is to ask for ---- */

void store_accept(struct store_client *c, const struct store_message *m,
		  struct store_content *content, enum store_accept_how how, store_done *done,
		  void *arg)
{
	struct note *n = note_new(c, NOTE_ACCEPT, done, arg);

	n->content = store_content_ref(content);
	n->u.accept.message = copy_message(n->arena, m, content);
	n->u.accept.how = how;
	note_send(n);
}

void store_record(struct store_client *c, const struct store_record *r, store_done *done, void *arg)
{
	struct note *n = note_new(c, NOTE_RECORD, done, arg);
	struct store_rcpt_record *v = ARENA_ARRAY(n->arena, r->n_rcpts, struct store_rcpt_record);

	n->u.record.record = *r;
	if (r->ground)
		(void)store_ground_ref(r->ground);
	n->u.record.record.evidence = arena_str(n->arena, r->evidence);
	n->u.record.record.rcpts = v;
	for (size_t i = 0; i < r->n_rcpts; i++) {
		v[i] = r->rcpts[i];
		if (v[i].verdict != STORE_GONE) /* of one that goes nothing is written */
			v[i].outcome = copy_outcome(n->arena, &r->rcpts[i].outcome);
	}
	note_send(n);
}

static const uint32_t *copy_indexes(struct arena *a, const uint32_t *from, size_t n)
{
	uint32_t *v = ARENA_ARRAY(a, n, uint32_t);

	for (size_t i = 0; i < n; i++)
		v[i] = from[i];
	return v;
}

void store_bounce(struct store_client *c, const struct store_notice *from, store_done *done,
		  void *arg)
{
	struct note *n = note_new(c, NOTE_NOTICE, done, arg);
	struct store_message *m = NULL;

	if (from->message) {
		m = ARENA_NEW(n->arena, struct store_message);
		*m = copy_message(n->arena, from->message, from->content);
		n->content = store_content_ref(from->content);
	}
	n->u.notice.notice = *from;
	n->u.notice.notice.message = m;
	n->u.notice.notice.indexes = copy_indexes(n->arena, from->indexes, from->n_indexes);
	note_send(n);
}

void store_move(struct store_client *c, uint64_t message, const struct store_move *from,
		size_t count, int64_t due_ms, store_done *done, void *arg)
{
	struct note *n = note_new(c, NOTE_MOVE, done, arg);
	struct store_move *v = ARENA_ARRAY(n->arena, count, struct store_move);

	for (size_t i = 0; i < count; i++) {
		v[i].index = from[i].index;
		v[i].destination = arena_str(n->arena, from[i].destination);
	}
	n->u.move = (struct note_move){ message, v, count, due_ms };
	note_send(n);
}

void store_change(struct store_client *c, enum store_change change,
		  const struct store_selection *which, int64_t now_ms, store_done *done, void *arg)
{
	struct note *n = note_new(c, NOTE_CHANGE, done, arg);

	n->u.change = (struct note_change){ .change = change, .which = *which, .now_ms = now_ms };
	n->u.change.which.destination = arena_str(n->arena, which->destination);
	note_send(n);
}

void store_probe(struct store_client *c, store_done *done, void *arg)
{
	note_send(note_new(c, NOTE_PROBE, done, arg));
}

void store_expire(struct store_client *c, int64_t before_ms, store_done *done, void *arg)
{
	struct note *n = note_new(c, NOTE_EXPIRE, done, arg);

	n->u.expire = (struct note_expire){ .before_ms = before_ms };
	note_send(n);
}
