/* A worker's listeners and sessions. */

#include "listen/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"

#define LINGER_MS 500
#define LINGERING_MAX 50         /* a second: more would be a crowd of descriptors, too */
#define COMPLAINT_EVERY_MS 60000 /* about what may happen thousands of times a second */
#define SCRATCH_MAX (4 * SMTP_CONTENT_PIECE_MAX + MESSAGE_HEAD_MAX(0) + MESSAGE_RECEIVED_MAX)

static int64_t system_utc_ms(void)
{
	return os_utc_ns() / 1000000;
}

static uint64_t now_of(const struct listen *l)
{
	return net_loop_now(l->loop);
}

static void complain(struct listen *l, enum listen_crowd which, struct str text)
{
	struct log_value v = { .field = FIELD_reason, .text = text };
	struct log_event e = { .id = EVENT_notice, .values = &v, .n_values = 1 };
	uint64_t now = now_of(l), *last = &l->complained_at[which];

	if (*last != UINT64_MAX && now - *last < COMPLAINT_EVERY_MS)
		return;
	*last = now;
	if (l->calls->log)
		l->calls->log(l->arg, &e);
}

static bool may_linger(struct listen *l)
{
	uint64_t now = now_of(l);

	if (l->turned_at == UINT64_MAX || now - l->turned_at >= 1000) {
		l->turned_at = now;
		l->n_turned = 0;
	}
	return ++l->n_turned <= LINGERING_MAX;
}

/* A client that is not served hears it in a line, if it can hear anything without TLS. */
static void turn_away(struct listen_port *p, struct net_stream *s, struct str reply)
{
	static const struct net_stream_calls deaf;

	net_stream_set_calls(s, &deaf, NULL);
	if (!p->setting->is_wrapper)
		net_stream_write(s, reply);
	net_stream_finish(s, may_linger(p->listen) ? LINGER_MS : 0);
}

/* A client that was gone before it was accepted has no address any more, and what it said can be
 * read all the same: it must not pass for one of a UNIX-domain socket, which may relay. */
static void on_accepted(void *arg, struct net_stream *stream)
{
	struct listen_port *p = arg;
	struct listen *l = p->listen;
	bool has_address = p->setting->path.n == 0;
	struct net_endpoint peer;

	if (has_address && !net_stream_peer(stream, &peer)) {
		net_stream_free(stream);
		return;
	}
	if (listen_clients_enter(l->clients, l->setup->connections_max)) {
		bool is_stressed =
			listen_clients_are_crowded(l->clients, l->setup->connections_max);

		listen_session_begin(p, stream, has_address ? &peer.address : NULL, is_stressed);
		if (is_stressed)
			complain(l, LISTEN_CROWD_HURRIED,
				 STR("clients get less time: nearly as many are connected as "
				     "may be"));
		return;
	}
	turn_away(p, stream, STR("421 4.3.2 too many connections\r\n"));
	complain(l, LISTEN_CROWD_AWAY,
		 STR("clients are turned away: as many are connected as may be"));
}

static void on_paused(void *arg, struct str why)
{
	struct listen_port *p = arg;
	struct arena *a = arena_new();

	complain(p->listen, LISTEN_CROWD_WAITING,
		 arena_fmt(a, "clients have to wait: " STR_FMT, STR_ARG(why)));
	arena_free(a);
}

static bool
open_sockets(struct listen_port *p, size_t index, const struct listen_sockets *k, struct error *e)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++) {
		if (k->v[i].setting != index || k->v[i].fd < 0)
			continue;
		p->listeners[n] = net_listener_open(p->listen->loop, k->v[i].fd, on_accepted, p, e);
		if (!p->listeners[n])
			return false;
		net_listener_on_pause(p->listeners[n++], on_paused);
	}
	return true;
}

static bool open_services(struct listen_port *p, const struct listen_options *o, struct error *e)
{
	const struct listen_setting *s = p->setting;
	struct table_options t = { .is_utf8 = conf_bool(s->conf, CONF_smtputf8_enable),
				   .found = o->found,
				   .arg = o->arg,
				   .loop = o->loop,
				   .conf = s->conf };

	if (s->logins.n > 0)
		p->logins = table_set_new(STR("smtpd_sender_login_maps"), s->logins, &t,
					  now_of(p->listen));
	if (s->tls != LISTEN_TLS_NONE) {
		p->tls = tls_server_new(&s->tls_options, e);
		if (!p->tls)
			return false;
	}
	if (s->has_auth) {
		p->passwords = table_set_new(STR("hopseal_sasl_password_maps"), s->passwords, &t,
					     now_of(p->listen));
		if (!p->listen->sasl)
			p->listen->sasl = sasl_new();
	}
	return true;
}

static void open_list(struct listen *l, const struct listen_networks *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].kind == LISTEN_PATTERN_TABLE &&
		    !tables_find(l->tables, list->v[i].text))
			tables_open(l->tables, list->v[i].text, list->v[i].text, now_of(l));
}

static bool
open_port(struct listen_port *p, size_t i, const struct listen_options *o, struct error *e)
{
	open_list(p->listen, &p->setting->mynetworks);
	open_list(p->listen, &p->setting->exceptions);
	open_list(p->listen, &p->setting->excluded);
	if (open_services(p, o, e) && open_sockets(p, i, o->sockets, e))
		return true;
	return error_prefix(e, STR_FMT, STR_ARG(p->setting->text));
}

static char *copy(struct str s)
{
	char *p = base_alloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

static struct tables *open_tables(struct listen *l, const struct listen_options *o)
{
	struct table_options t = {
		.found = o->found, .arg = o->arg, .loop = o->loop, .conf = l->setup->conf
	};

	return tables_new(&t);
}

struct listen *listen_new(const struct listen_options *o, struct error *e)
{
	struct listen *l = base_alloc(sizeof(*l));

	CHECK(o->setup->is_read);
	l->loop = o->loop;
	l->setup = listen_setup_ref(o->setup);
	l->clients = o->clients;
	l->calls = o->calls;
	l->arg = o->arg;
	l->utc_ms = o->utc_ms ? o->utc_ms : system_utc_ms;
	l->origin = copy(o->origin);
	l->turned_at = UINT64_MAX;
	for (size_t i = 0; i < LISTEN_CROWDS; i++)
		l->complained_at[i] = UINT64_MAX;
	l->arena = arena_new();
	l->tables = open_tables(l, o);
	list_init(&l->sessions);
	buf_init(&l->scratch, SCRATCH_MAX);
	l->ports = base_alloc((l->setup->n + 1) * sizeof(*l->ports));
	for (size_t i = 0; i < l->setup->n; i++) {
		l->ports[i].listen = l;
		l->ports[i].setting = &l->setup->v[i];
		if (!open_port(&l->ports[i], i, o, e)) {
			listen_free(l);
			return NULL;
		}
	}
	return l;
}

static void close_sockets(struct listen *l)
{
	for (size_t i = 0; i < l->setup->n; i++)
		for (size_t k = 0; k < ARRAY_LEN(l->ports[i].listeners); k++) {
			net_listener_free(l->ports[i].listeners[k]);
			l->ports[i].listeners[k] = NULL;
		}
}

void listen_retire(struct listen *l)
{
	close_sockets(l);
	l->is_stopping = true;
}

void listen_stop(struct listen *l)
{
	struct list *at = l->sessions.next, *next;

	listen_retire(l);
	for (; at != &l->sessions; at = next) {
		next = at->next;
		listen_session_stop(LIST_OF(at, struct listen_session, link));
	}
}

size_t listen_sessions(const struct listen *l)
{
	return l->n_sessions;
}

void listen_add_totals(const struct listen *l, struct listen_totals *sum)
{
	for (size_t i = 0; i < l->setup->n; i++) {
		const struct listen_port *p = &l->ports[i];

		if (p->setting->engine.dialect == SMTP_DIALECT_LMTP)
			sum->lmtp += p->n_sessions;
		else if (p->setting->is_wrapper)
			sum->smtps += p->n_sessions;
		else
			sum->smtp += p->n_sessions;
		sum->tls += p->n_tls;
	}
}

struct net_endpoint listen_endpoint(const struct listen *l, size_t i)
{
	CHECK(i < l->setup->n && l->ports[i].listeners[0]);
	return net_listener_endpoint(l->ports[i].listeners[0]);
}

void listen_free(struct listen *l)
{
	if (!l)
		return;
	close_sockets(l);
	l->is_stopping = false; /* nobody waits for the last session any more */
	while (!list_is_empty(&l->sessions))
		listen_session_free(LIST_OF(l->sessions.next, struct listen_session, link));
	for (size_t i = 0; i < l->setup->n; i++) {
		tls_server_free(l->ports[i].tls);
		table_set_free(l->ports[i].passwords);
		table_set_free(l->ports[i].logins);
	}
	tables_free(l->tables);
	arena_free(l->arena);
	sasl_free(l->sasl);
	listen_setup_unref(l->setup);
	buf_fini(&l->scratch);
	free(l->ports);
	free(l->origin);
	free(l);
}
