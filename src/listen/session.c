/* A session's octets: from the stream, through TLS if it is up, to the engine and back, as long as
 * anything moves. */

#include "listen/room.h"

#include <stdio.h>
#include <stdlib.h>

#define IN_MAX (2 * TLS_READ_MAX)
#define QUEUED_MAX (256 * 1024) /* on the stream, before the engine's output has to wait */
#define LINGER_MS 2000

uint64_t listen_session_now(const struct listen_session *s)
{
	return net_loop_now(s->port->listen->loop);
}

/* Who it is. */

struct str listen_session_name(const struct listen_session *s, char out[LISTEN_NAME_MAX])
{
	struct arena *a;

	if (!s->has_address)
		return STR("localhost[unix]");
	a = arena_new();
	snprintf(out, LISTEN_NAME_MAX, "%s[%s]", s->peer_name ? s->peer_name : "unknown",
		 address_text(a, &s->address).p);
	arena_free(a);
	return str_of(out);
}

static void tell_tls(const struct listen_session *s, struct arena *a, struct listen_client *c)
{
	struct tls_peer p = tls_session_peer(s->tls, a);

	c->tls_protocol = p.protocol;
	c->tls_cipher = p.cipher;
	c->tls_bits = p.cipher_bits;
}

struct listen_client listen_session_client(const struct listen_session *s, struct arena *a)
{
	char name[LISTEN_NAME_MAX];
	struct listen_client c = {
		.address = s->has_address ? &s->address : NULL,
		.host = str_of(s->peer_name),
		.name = arena_str(a, listen_session_name(s, name)),
		.helo = smtp_server_helo_name(s->engine),
		.user = str_of(s->user),
		.method = str_of(s->method),
	};

	c.protocol = (struct message_protocol){
		.is_lmtp = s->port->setting->engine.dialect == SMTP_DIALECT_LMTP,
		.is_esmtp = smtp_server_is_esmtp(s->engine),
		.is_smtputf8 = s->mail && s->mail->mail.is_smtputf8,
		.is_tls = s->is_tls_up,
		.is_authenticated = s->user != NULL,
	};
	if (s->is_tls_up)
		tell_tls(s, a, &c);
	return c;
}

void listen_session_log(struct listen_session *s, enum log_event_id id,
			const struct log_value *values, size_t n)
{
	const struct listen *l = s->port->listen;
	struct log_event e = { .id = id, .values = values, .n_values = n };

	if (l->calls->log)
		l->calls->log(l->arg, &e);
}

void listen_session_log_client(struct listen_session *s, enum log_event_id id)
{
	char name[LISTEN_NAME_MAX];
	struct log_value v = { .field = FIELD_client, .text = listen_session_name(s, name) };

	listen_session_log(s, id, &v, 1);
}

static void log_tls(struct listen_session *s)
{
	struct arena *a = arena_new();
	struct listen_client c = listen_session_client(s, a);
	struct log_value v[] = {
		{ .field = FIELD_client, .text = c.name },
		{ .field = FIELD_protocol, .text = c.tls_protocol },
		{ .field = FIELD_cipher, .text = c.tls_cipher },
		{ .field = FIELD_bits, .number = c.tls_bits },
	};

	listen_session_log(s, EVENT_client_tls, v, ARRAY_LEN(v));
	arena_free(a);
}

static const char *const command_names[COMMANDS] = {
	[COMMAND_EHLO] = "ehlo",       [COMMAND_STARTTLS] = "starttls", [COMMAND_AUTH] = "auth",
	[COMMAND_MAIL] = "mail",       [COMMAND_RCPT] = "rcpt",         [COMMAND_DATA] = "data",
	[COMMAND_BDAT] = "bdat",       [COMMAND_RSET] = "rset",         [COMMAND_NOOP] = "noop",
	[COMMAND_VRFY] = "vrfy",       [COMMAND_HELP] = "help",         [COMMAND_QUIT] = "quit",
	[COMMAND_CONNECT] = "connect",
};

static void log_disconnected(struct listen_session *s)
{
	char name[LISTEN_NAME_MAX];
	unsigned all = 0;
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < COMMAND_CONNECT; i++) {
		if (s->n_commands[i] > 0)
			CHECK(buf_fmt(&b, "%s=%u ", command_names[i], s->n_commands[i]));
		all += s->n_commands[i];
	}
	CHECK(buf_fmt(&b, "commands=%u", all));
	struct log_value v[] = {
		{ .field = FIELD_client, .text = listen_session_name(s, name) },
		{ .field = FIELD_commands, .text = buf_str(&b) },
	};
	listen_session_log(s, EVENT_disconnected, v, ARRAY_LEN(v));
	buf_fini(&b);
}

/* Postfix's words, which log tools know. */
static struct str lost_reason(struct str why)
{
	if (str_eq(why, STR("the peer closed the connection")))
		return STR("lost connection");
	if (str_eq(why, STR("the peer was silent for too long")))
		return STR("timeout");
	return why;
}

void listen_session_log_lost(struct listen_session *s, struct str why)
{
	char name[LISTEN_NAME_MAX], command[16];

	snprintf(command, sizeof(command), "%s", command_names[s->last]);
	for (char *c = command; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	struct log_value v[] = {
		{ .field = FIELD_client, .text = listen_session_name(s, name) },
		{ .field = FIELD_command, .text = str_of(command) },
		{ .field = FIELD_reason, .text = lost_reason(why) },
	};
	listen_session_log(s, EVENT_session_lost, v, ARRAY_LEN(v));
}

/* The end. */

static void leave(struct listen_session *s)
{
	struct listen *l = s->port->listen;

	if (s->is_counted)
		listen_clients_disconnect(l->clients, &s->key, listen_session_now(s));
	listen_clients_leave(l->clients);
	list_remove(&s->link);
	l->n_sessions--;
	s->port->n_sessions--;
	s->port->n_tls -= s->is_tls_up;
	if (l->is_stopping && l->n_sessions == 0 && l->calls->emptied)
		l->calls->emptied(l->arg);
}

void listen_session_free(struct listen_session *s)
{
	if (!s->is_known)
		listen_session_log_client(s, EVENT_connected);
	log_disconnected(s);
	listen_arrive_drop(s);
	listen_gate_drop(s);
	listen_message_drop(s);
	listen_auth_drop(s);
	if (s->request)
		s->request->session = NULL;
	net_stream_free(s->stream);
	net_timer_free(s->timer);
	tls_session_free(s->tls);
	smtp_server_free(s->engine);
	buf_fini(&s->in);
	listen_auth_forget(s);
	leave(s);
	free(s);
}

/* What is queued goes out first, but not for ever. */
static void session_over(struct listen_session *s)
{
	net_stream_finish(s->stream, LINGER_MS);
	s->stream = NULL;
	s->is_over = true;
}

/* TLS. */

static void tls_begin(struct listen_session *s)
{
	s->tls = tls_server_session(s->port->tls);
	s->gives_up_at =
		listen_session_now(s) + (s->is_stressed ? s->port->setting->handshake_stressed_ms
							: s->port->setting->handshake_ms);
	while (buf_len(&s->in) > 0) { /* a client that does not wait for the 220 */
		struct str in = str_first(buf_str(&s->in), TLS_READ_MAX);

		tls_session_network_in(s->tls, in);
		buf_consume(&s->in, in.n);
	}
	buf_fini(&s->in);
	if (s->has_ended)
		tls_session_network_end(s->tls);
}

static void tls_up(struct listen_session *s)
{
	const struct listen_setting *o = s->port->setting;
	struct arena *a = arena_new();
	struct tls_peer p = tls_session_peer(s->tls, a);

	s->is_tls_up = true;
	s->port->n_tls++;
	s->gives_up_at = UINT64_MAX;
	listen_auth_forget(s);
	if (!o->is_wrapper)
		smtp_server_tls_up(s->engine, listen_session_now(s));
	if (o->has_auth && str_eq(p.protocol, STR("TLSv1.3"))) /* RFC 9266 section 3 */
		smtp_server_set_mechanisms(s->engine, o->mechanisms_bound);
	arena_free(a);
	log_tls(s);
}

static void tls_failed(struct listen_session *s)
{
	listen_session_log_lost(s, tls_session_error(s->tls).n ? tls_session_error(s->tls)
							       : STR("TLS handshake failed"));
	s->is_closing = true;
	s->gives_up_at = listen_session_now(s) + LISTEN_FAREWELL_MS;
}

static bool pump_tls(struct listen_session *s)
{
	enum tls_state before, after;

	if (!s->tls)
		return false;
	before = tls_session_state(s->tls);
	after = tls_session_step(s->tls);
	if (before == TLS_STATE_HANDSHAKING && tls_session_was_up(s->tls))
		tls_up(s);
	else if (before == TLS_STATE_HANDSHAKING && after == TLS_STATE_FAILED && !s->is_closing)
		tls_failed(s);
	return before != after;
}

/* The pump. */

static struct str readable(const struct listen_session *s)
{
	return s->tls ? tls_session_application_out(s->tls) : buf_str(&s->in);
}

static bool is_at_end(const struct listen_session *s)
{
	bool is_open = !s->tls || tls_session_state(s->tls) == TLS_STATE_UP ||
		       tls_session_state(s->tls) == TLS_STATE_HANDSHAKING;

	return (s->has_ended || !is_open) && readable(s).n == 0;
}

/* The engine speaks and hears: not while TLS is being agreed on. */
static bool is_in_use(const struct listen_session *s)
{
	return !s->wants_tls && !s->is_closing && (!s->tls || s->is_tls_up);
}

static bool pump_up(struct listen_session *s)
{
	struct str in = str_first(readable(s), smtp_server_room(s->engine));

	if (!is_in_use(s))
		return false;
	if (in.n > 0) {
		smtp_server_read(s->engine, in, listen_session_now(s));
		if (s->tls) {
			tls_session_application_used(s->tls, in.n);
		} else {
			buf_consume(&s->in, in.n);
			if (buf_len(&s->in) == 0)
				buf_fini(&s->in);
		}
		return true;
	}
	if (!is_at_end(s) || s->is_end_told)
		return false;
	s->is_end_told = true;
	smtp_server_read_end(s->engine, listen_session_now(s));
	return true;
}

static bool pump_events(struct listen_session *s)
{
	bool has_moved = false;

	while (is_in_use(s) && listen_session_event(s))
		has_moved = true;
	return has_moved;
}

static size_t pump_engine_out(struct listen_session *s)
{
	struct str out = smtp_server_output(s->engine);
	size_t n = out.n;

	if (out.n == 0 || (s->tls && !s->is_tls_up))
		return 0;
	if (s->tls)
		n = tls_session_application_in(s->tls, out);
	else
		net_stream_write(s->stream, out);
	smtp_server_wrote(s->engine, n);
	return n;
}

static bool pump_down(struct listen_session *s)
{
	size_t n;

	if (net_stream_queued(s->stream) > QUEUED_MAX)
		return false;
	n = pump_engine_out(s);
	if (s->tls) {
		struct str out = tls_session_network_out(s->tls);

		net_stream_write(s->stream, out);
		tls_session_network_sent(s->tls, out.n);
		n += out.n;
	}
	return n > 0;
}

static bool has_output(const struct listen_session *s)
{
	bool can_say = !s->tls || tls_session_state(s->tls) == TLS_STATE_UP;

	return can_say && smtp_server_output(s->engine).n > 0;
}

/* What waits for the output to be gone. */
static bool pump_turn(struct listen_session *s)
{
	if (has_output(s) || (!s->wants_tls && !s->is_closing))
		return false;
	if (s->wants_tls) {
		s->wants_tls = false;
		tls_begin(s);
		return true;
	}
	if (s->tls) {
		tls_session_close(s->tls);
		tls_session_step(s->tls);
		pump_down(s);
	}
	session_over(s);
	return true;
}

static void pump(struct listen_session *s)
{
	bool has_moved = true;

	s->is_pumping = true;
	while (has_moved && !s->is_over) {
		has_moved = pump_tls(s);
		has_moved |= pump_up(s);
		has_moved |= pump_events(s);
		has_moved |= pump_down(s);
		has_moved |= pump_turn(s);
	}
	s->is_pumping = false;
}

static void wait(struct listen_session *s)
{
	bool is_full = s->tls ? tls_session_is_full(s->tls) : buf_len(&s->in) > 0;
	uint64_t at = is_in_use(s) ? smtp_server_deadline(s->engine) : UINT64_MAX;

	if (is_full)
		net_stream_pause(s->stream);
	else
		net_stream_resume(s->stream);
	at = at < s->gives_up_at ? at : s->gives_up_at;
	net_timer_set(s->timer, s->is_known || at < s->known_by ? at : s->known_by);
}

/* The end of every call from the loop: `s` may be gone afterwards. */
void listen_session_turn(struct listen_session *s)
{
	if (s->is_pumping)
		return;
	pump(s);
	listen_session_count_refusals(s);
	if (s->is_over)
		listen_session_free(s);
	else
		wait(s);
}

static void on_read(void *arg, struct str octets)
{
	struct listen_session *s = arg;

	if (s->tls)
		tls_session_network_in(s->tls, octets);
	else
		CHECK(buf_add(&s->in, octets)); /* paused while there is any left */
	listen_session_turn(s);
}

static void on_ended(void *arg)
{
	struct listen_session *s = arg;

	s->has_ended = true;
	if (s->tls)
		tls_session_network_end(s->tls);
	listen_session_turn(s);
}

static void on_drained(void *arg)
{
	listen_session_turn(arg);
}

static void on_failed(void *arg, const struct net_failure *why)
{
	struct listen_session *s = arg;

	if (!s->is_closing)
		listen_session_log_lost(s, why->fault == NET_FAULT_RESET ? STR("lost connection")
									 : str_of(why->text));
	listen_session_free(s);
}

static void on_timer(void *arg)
{
	struct listen_session *s = arg;
	uint64_t now = listen_session_now(s);

	if (now >= s->gives_up_at) {
		if (!s->is_closing)
			listen_session_log_lost(s, STR("timeout"));
		listen_session_free(s);
		return;
	}
	if (!s->is_known && now >= s->known_by)
		listen_arrive_give_up(s);
	if (is_in_use(s))
		smtp_server_tick(s->engine, now);
	listen_session_turn(s);
}

static const struct net_stream_calls calls = {
	.read = on_read,
	.ended = on_ended,
	.drained = on_drained,
	.failed = on_failed,
};

void listen_session_match(const struct listen_session *s, struct listen_match *m,
			  const struct listen_networks *n, struct arena *a)
{
	*m = (struct listen_match){
		.networks = n,
		.tables = s->port->listen->tables,
		.arena = a,
		.address = &s->address,
		.name = str_of(s->peer_name),
		.is_name_in_doubt = s->is_name_in_doubt,
		.now = listen_session_now(s),
	};
}

void listen_session_turn_away(struct listen_session *s)
{
	struct smtp_reply reply = { 421, STATUS(4, 7, 0), STR("too many connections from you") };

	listen_session_log_refusal(s, "CONNECT", reply, STR_NONE);
	listen_session_count_refusal(s, SMTP_REFUSAL_LIMIT);
	if (!s->port->setting->is_wrapper)
		net_stream_write(s->stream, STR("421 4.7.0 too many connections from you\r\n"));
	session_over(s);
}

void listen_session_begin(struct listen_port *p, struct net_stream *stream,
			  const struct address *client, bool is_stressed)
{
	struct listen_session *s = base_alloc(sizeof(*s));
	struct listen *l = p->listen;

	s->port = p;
	s->stream = stream;
	s->last = COMMAND_CONNECT;
	s->gives_up_at = UINT64_MAX;
	s->timer = net_timer_new(l->loop, on_timer, s);
	s->is_stressed = is_stressed;
	s->has_address = client != NULL;
	if (client)
		s->address = *client;
	s->engine = smtp_server_new(is_stressed ? &p->setting->stressed : &p->setting->engine,
				    net_loop_now(l->loop));
	buf_init(&s->in, IN_MAX);
	list_add(&l->sessions, &s->link);
	l->n_sessions++;
	p->n_sessions++;
	net_stream_set_calls(stream, &calls, s);
	s->is_pumping = true; /* whoever answers at once does not end it under our feet */
	listen_arrive_begin(s);
	s->is_pumping = false;
	if (!s->is_over && p->setting->is_wrapper)
		tls_begin(s);
	listen_session_turn(s);
}

void listen_session_stop(struct listen_session *s)
{
	smtp_server_stop(s->engine, listen_session_now(s));
	if (s->tls && !s->is_tls_up) {
		s->is_closing = true;
		s->gives_up_at = listen_session_now(s) + LISTEN_FAREWELL_MS;
	}
	listen_session_turn(s);
}
