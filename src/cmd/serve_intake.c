#include "cmd/serve_intake.h"

#include <stdlib.h>
#include <string.h>

#include "mail/domain.h"
#include "os/log.h"

enum {
	SPACE_AGE_MS = 1000,     /* how old an answer about space may be */
	SPACE_NOTES_MAX = 20000, /* notes that wait for the store's writer */
};

/* The listeners of one generation, whose sockets they do not keep: what a later one has no more is
 * to be closed, and may be bound again, while sessions go on. */
struct intake_listen {
	struct serve_intake *intake;
	struct intake_listen *next;
	struct conf *conf;
	struct listen *listen;
	struct net_timer *end; /* it is freed a moment after its last session */
};

struct serve_intake {
	struct serve_intake_options options;
	struct intake_listen *present; /* NULL: stopped */
	struct intake_listen *all;     /* linked; the present one, too */
	struct list questions;         /* of intake_question.link: of sessions, not answered yet */
	struct net_timer *limit;
	uint64_t space_at;
	struct store_space space;
	bool is_space_known, is_stopping;
	void (*ended)(void *arg);
	void *ended_arg;
};

/* ---- clients ---- */

/* One of the two is asked for. */
struct intake_question {
	struct list link;
	struct listen_request *request;
	struct queue_peer_name *name;
	struct queue_route *route;
};

static struct intake_question *question_new(struct intake_listen *l, struct listen_request *r)
{
	struct intake_question *x = base_alloc(sizeof(*x));

	list_add(&l->intake->questions, &x->link);
	x->request = r;
	return x;
}

static void question_free(struct intake_question *x)
{
	list_remove(&x->link);
	queue_peer_name_free(x->name);
	queue_route_free(x->route);
	free(x);
}

static void on_named(void *arg, struct str name, bool is_in_doubt)
{
	struct intake_question *x = arg;

	listen_named(x->request, name, is_in_doubt);
	question_free(x);
}

static void on_name(void *arg, struct listen_request *r, const struct address *client)
{
	struct intake_listen *l = arg;
	struct intake_question *x = question_new(l, r);

	x->name = queue_peer_name_new(l->intake->options.queue, client, on_named, x);
}

/* ---- recipients ---- */

static void refuse(struct listen_request *r, int code, struct status status, struct str text)
{
	struct smtp_reply reply = { .code = code, .status = status, .text = text };

	listen_refuse(r, &reply);
}

/* A route that is the last word: at once, where the client can still hear it. */
static void refuse_route(struct listen_request *r, const struct outcome *o)
{
	if (o->kind == OUTCOME_BOUNCED)
		refuse(r, 550, o->status, o->reason);
	else
		refuse(r, 451, o->status, o->reason);
}

static void admit(struct intake_question *x, const struct route *route)
{
	struct arena *a = arena_new();

	listen_admit(x->request, queue_destination(a, route));
	arena_free(a);
}

static void rcpt_routed(void *arg, const struct route *route, const struct error *e)
{
	struct intake_question *x = arg;

	if (e)
		refuse(x->request, 451, STATUS(4, 3, 0), error_text(e));
	else if (route->kind == ROUTE_REFUSE && !str_eq(route->transport, STR("retry")))
		refuse_route(x->request, &route->outcome);
	else
		admit(x, route);
	question_free(x);
}

static void on_rcpt(void *arg, struct listen_request *r, const struct listen_admission *a)
{
	struct intake_listen *l = arg;
	struct intake_question *x = question_new(l, r);

	x->route = queue_route_new(l->intake->options.queue, a->recipient, rcpt_routed, x);
}

/* ---- content ---- */

struct intake_spool {
	uint64_t id;
	struct store_spool *spool;
};

static bool on_spool_begin(void *arg, struct listen_spool *out, struct error *e)
{
	struct intake_listen *l = arg;
	struct store_client *store = queue_store(l->intake->options.queue);
	struct intake_spool *s = base_alloc(sizeof(*s));

	(void)e;
	s->id = store_client_id(store);
	s->spool = store_spool_new(store, s->id);
	_Static_assert(STORE_ID_TEXT_MAX <= LISTEN_ID_MAX, "a queue id fits");
	(void)store_id_text(s->id, out->id);
	out->handle = s;
	return true;
}

static bool on_spool_add(void *arg, struct listen_spool *spool, struct str octets, struct error *e)
{
	struct intake_spool *s = spool->handle;

	(void)arg;
	return store_spool_add(s->spool, octets, e);
}

static void on_spool_drop(void *arg, struct listen_spool *spool)
{
	struct intake_spool *s = spool->handle;

	(void)arg;
	store_spool_free(s->spool);
	free(s);
}

/* ---- messages ---- */

static unsigned message_flags(const struct listen_message *m)
{
	unsigned flags = 0;

	if (m->scan->is_8bit)
		flags |= STORE_8BIT;
	if (m->scan->has_8bit_header)
		flags |= STORE_8BIT_HEADER;
	if (m->is_smtputf8 &&
	    ((m->scan->has_8bit_header && m->scan->is_header_utf8) || !domain_is_ascii(m->sender)))
		flags |= STORE_SMTPUTF8;
	if (m->is_requiretls)
		flags |= STORE_REQUIRETLS;
	if (m->scan->has_tls_required_no)
		flags |= STORE_TLS_REQUIRED_NO;
	return flags;
}

/* Who brought it, for the record. */
static struct str client_json(struct arena *a, const struct listen_client *c)
{
	struct buf text;
	struct json j;

	buf_init(&text, CLIENT_RECORD_MAX);
	json_init(&j, &text, false);
	json_object(&j);
	json_put_str(&j, "client", c->name);
	json_put_str(&j, "helo", c->helo);
	if (c->user.n > 0) {
		json_put_str(&j, "username", c->user);
		json_put_str(&j, "method", c->method);
	}
	if (c->tls_protocol.n > 0) {
		json_put_str(&j, "tls_protocol", c->tls_protocol);
		json_put_str(&j, "tls_cipher", c->tls_cipher);
		json_put_int(&j, "tls_bits", c->tls_bits);
	}
	json_object_end(&j);
	struct str json = json_end(&j) ? arena_str(a, buf_str(&text)) : STR("");
	buf_fini(&text);
	return json;
}

static void message_kept(void *arg, const struct store_result *result)
{
	struct listen_request *r = arg;

	if (result->fault == STORE_DONE)
		listen_kept(r);
	else if (result->fault == STORE_FULL)
		refuse(r, 452, STATUS(4, 3, 1), STR("insufficient system storage"));
	else
		refuse(r, 451, STATUS(4, 3, 0), STR("the queue could not keep the message"));
}

static void on_accept(void *arg, struct listen_request *r, const struct listen_message *m)
{
	struct intake_listen *l = arg;
	struct intake_spool *s = m->spool.handle;
	struct arena *a = arena_new();
	struct store_rcpt *rcpts = ARENA_ARRAY(a, m->n_rcpts, struct store_rcpt);
	struct error e;

	for (size_t i = 0; i < m->n_rcpts; i++)
		rcpts[i] = (struct store_rcpt){
			.destination = m->rcpts[i].destination,
			.address = m->rcpts[i].address,
			.orcpt = m->rcpts[i].orcpt,
			.notify = m->rcpts[i].notify,
		};
	struct store_message message = {
		.id = s->id,
		.arrived_ms = m->arrived_ms,
		.flags = message_flags(m),
		.sender = m->sender,
		.ret = m->ret,
		.envid = m->envid,
		.client = client_json(a, m->client),
		.rcpts = rcpts,
		.n_rcpts = m->n_rcpts,
	};
	struct store_content *content = store_spool_finish(s->spool, &e);
	free(s);
	if (content)
		queue_accept(l->intake->options.queue, &message, content, STORE_ACCEPT_QUEUED,
			     message_kept, r);
	else
		refuse(r, 452, STATUS(4, 3, 1), STR("insufficient system storage"));
	store_content_unref(content);
	arena_free(a);
}

/* ---- room ---- */

static void look_at_space(struct serve_intake *i)
{
	uint64_t now = net_loop_now(i->options.loop);
	struct error e;

	if (i->is_space_known && now - i->space_at < SPACE_AGE_MS)
		return;
	i->is_space_known = store_space(i->options.store, &i->space, &e);
	i->space_at = now;
}

/* Early, while nothing of the message was sent: queue_minfree and the message must fit, content
 * must find memory, and the writer must not be far behind. */
static bool on_is_short(void *arg, uint64_t size_octets)
{
	struct intake_listen *l = arg;
	struct serve_intake *i = l->intake;
	uint64_t least = (uint64_t)conf_int(l->conf, CONF_queue_minfree);

	look_at_space(i);
	if (!i->is_space_known || store_memory_is_short(i->options.store, size_octets))
		return true;
	uint64_t free_octets = i->space.free_octets + i->space.reusable_octets;
	return i->space.notes > SPACE_NOTES_MAX || free_octets < least ||
	       free_octets - least < size_octets; /* which may be any number */
}

static void on_log(void *arg, const struct log_event *e)
{
	struct intake_listen *l = arg;
	struct log_counters *c = l->intake->options.counters;

	if (e->id == EVENT_connected)
		counter_add(c, COUNTER_connections, 1);
	else if (e->id == EVENT_rejected)
		counter_add(c, COUNTER_commands_rejected, 1);
	os_log_event(l->intake->options.log, e);
}

_Static_assert(KIND_refused_other - KIND_refused_relay ==
		       (int)SMTP_REFUSAL_OTHER - (int)SMTP_REFUSAL_RELAY,
	       "in the order of refusals");

static void on_refused(void *arg, enum smtp_refusal why, uint64_t n)
{
	struct intake_listen *l = arg;

	counter_kind_add(l->intake->options.counters, (enum log_kind)(KIND_refused_relay + why), n);
}

/* ---- listeners ---- */

static void listen_free_one(struct intake_listen *l)
{
	struct intake_listen **at = &l->intake->all;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	listen_free(l->listen);
	net_timer_free(l->end);
	conf_unref(l->conf);
	free(l);
}

/* Whoever is asked may take long. Of sessions that are gone. */
static void questions_cut(struct serve_intake *i)
{
	while (!list_is_empty(&i->questions)) {
		struct intake_question *x =
			LIST_OF(i->questions.next, struct intake_question, link);
		if (x->route)
			refuse(x->request, 421, STATUS(4, 3, 2), STR("shutting down"));
		else
			listen_named(x->request, STR(""), true);
		question_free(x);
	}
}

static void listen_ended(void *arg)
{
	struct intake_listen *l = arg;
	struct serve_intake *i = l->intake;

	listen_free_one(l);
	if (i->is_stopping && !i->all) {
		net_timer_stop(i->limit);
		questions_cut(i);
		i->ended(i->ended_arg);
	}
}

static void on_emptied(void *arg)
{
	struct intake_listen *l = arg;

	net_timer_set(l->end, 0);
}

/* No new sessions; it goes with the last one. */
static void listen_leave(struct intake_listen *l, void (*how)(struct listen *l))
{
	how(l->listen);
	if (listen_sessions(l->listen) == 0)
		on_emptied(l);
}

static const struct listen_calls calls = {
	.name = on_name,
	.rcpt = on_rcpt,
	.spool_begin = on_spool_begin,
	.spool_add = on_spool_add,
	.spool_drop = on_spool_drop,
	.accept = on_accept,
	.is_short = on_is_short,
	.log = on_log,
	.refused = on_refused,
	.emptied = on_emptied,
};

bool serve_intake_take(struct serve_intake *i, struct serve_generation *g, struct error *e)
{
	struct intake_listen *l = base_alloc(sizeof(*l));
	struct listen_options o = {
		.loop = i->options.loop,
		.setup = g->setup,
		.sockets = g->sockets,
		.clients = i->options.clients,
		.calls = &calls,
		.arg = l,
	};

	l->intake = i;
	l->conf = conf_ref(g->conf);
	l->end = net_timer_new(i->options.loop, listen_ended, l);
	l->next = i->all;
	i->all = l;
	l->listen = listen_new(&o, e);
	if (!l->listen) {
		listen_free_one(l);
		return false;
	}
	if (i->present)
		listen_leave(i->present, listen_retire);
	i->present = l;
	return true;
}

struct serve_intake *serve_intake_new(const struct serve_intake_options *o)
{
	struct serve_intake *i = base_alloc(sizeof(*i));

	i->options = *o;
	list_init(&i->questions);
	return i;
}

static void intake_cut(void *arg)
{
	struct serve_intake *i = arg;

	while (i->all)
		listen_free_one(i->all);
	questions_cut(i);
	i->ended(i->ended_arg);
}

struct listen_totals serve_intake_totals(const struct serve_intake *i)
{
	struct listen_totals sum = { 0 };

	for (const struct intake_listen *l = i->all; l; l = l->next)
		if (l->listen)
			listen_add_totals(l->listen, &sum);
	return sum;
}

void serve_intake_stop(struct serve_intake *i, uint64_t limit_ms, void (*ended)(void *arg),
		       void *arg)
{
	i->is_stopping = true;
	i->ended = ended;
	i->ended_arg = arg;
	i->limit = net_timer_new(i->options.loop, intake_cut, i);
	net_timer_set(i->limit, net_loop_now(i->options.loop) + (i->present ? limit_ms : 0));
	for (struct intake_listen *l = i->all; l; l = l->next) /* those before a reload, too */
		listen_leave(l, listen_stop);
	i->present = NULL;
}

void serve_intake_hurry(struct serve_intake *i)
{
	if (i->all)
		net_timer_set(i->limit, 0);
}

void serve_intake_free(struct serve_intake *i)
{
	if (!i)
		return;
	while (i->all)
		listen_free_one(i->all);
	net_timer_free(i->limit);
	free(i);
}
