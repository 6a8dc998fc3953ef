/* Who a client is, and whether it is welcome: before the greeting its name is looked up, if it has
 * one, and its connections are counted, if they are. A client by whose address alone it is clear
 * that it has too many waits for no lookup. */

#include "listen/room.h"

#include <stdlib.h>
#include <string.h>

#include "mail/domain.h"

static bool is_over_limit(struct listen_session *s)
{
	const struct listen_setting *o = s->port->setting;
	size_t n;

	s->is_counted = true;
	n = listen_clients_connect(s->port->listen->clients, &s->key, listen_session_now(s));
	return (o->connections_max > 0 && n > o->connections_max) ||
	       listen_session_is_over_rate(s, LISTEN_RATE_CONNECTIONS);
}

static void welcome(struct listen_session *s, bool is_over)
{
	s->is_known = true;
	listen_session_log_client(s, EVENT_connected);
	if (is_over)
		listen_session_turn_away(s);
	else if (s->owes_greeting)
		listen_session_greet(s);
}

/* OPEN: `done` is called. What is not known in time is no. */
static enum listen_matched look_for(struct listen_session *s, const struct listen_networks *n,
				    void (*done)(void *arg, enum listen_matched is))
{
	enum listen_matched is = listen_networks_match(n, &s->address);

	if (is != LISTEN_OPEN)
		return is;
	s->match_arena = arena_new();
	listen_session_match(s, &s->match, n, s->match_arena);
	s->match.done = done;
	s->match.arg = s;
	is = listen_match_begin(&s->match);
	if (is != LISTEN_OPEN || !s->is_given_up)
		return is;
	listen_match_drop(&s->match);
	return LISTEN_NO;
}

static void look_end(struct listen_session *s)
{
	arena_free(s->match_arena);
	s->match_arena = NULL;
}

static void know_exclusion(struct listen_session *s, enum listen_matched is)
{
	look_end(s);
	if (is == LISTEN_YES)
		smtp_server_normalise(s->engine);
	welcome(s, false);
}

static void on_exclusion(void *arg, enum listen_matched is)
{
	struct listen_session *s = arg;

	know_exclusion(s, is);
	listen_session_turn(s);
}

/* Who may send line ends of any kind where others may not. */
static void look_for_exclusion(struct listen_session *s)
{
	enum listen_matched is = LISTEN_NO;

	if (s->port->setting->engine.bare_newline == SMTP_BARE_REFUSE)
		is = s->has_address ? look_for(s, &s->port->setting->excluded, on_exclusion)
				    : LISTEN_YES;
	if (is != LISTEN_OPEN)
		know_exclusion(s, is);
}

static void know_exception(struct listen_session *s, enum listen_matched is)
{
	look_end(s);
	if (is != LISTEN_YES && !s->is_counted && is_over_limit(s))
		welcome(s, true);
	else
		look_for_exclusion(s);
}

static void on_exception(void *arg, enum listen_matched is)
{
	struct listen_session *s = arg;

	know_exception(s, is);
	listen_session_turn(s);
}

/* The name is known, or will not be. */
static void look_for_exception(struct listen_session *s)
{
	enum listen_matched is = LISTEN_NO;

	if (!s->is_counted)
		is = look_for(s, &s->port->setting->exceptions, on_exception);
	if (is != LISTEN_OPEN)
		know_exception(s, is);
}

void listen_arrive_name(struct listen_session *s, struct str name, bool is_in_doubt)
{
	s->is_name_in_doubt = is_in_doubt;
	if (name.n > 0 && name.n <= DOMAIN_NAME_MAX && domain_is_hostname(name)) {
		s->peer_name = base_alloc(name.n + 1);
		memcpy(s->peer_name, name.p, name.n);
	}
	look_for_exception(s);
}

void listen_arrive_give_up(struct listen_session *s)
{
	s->is_given_up = true;
	if (s->request) { /* its answer comes too late */
		s->request->session = NULL;
		s->request = NULL;
		listen_arrive_name(s, STR(""), true);
	}
	if (!s->is_known) {
		listen_match_drop(&s->match);
		if (s->match.done == on_exclusion)
			know_exclusion(s, LISTEN_NO);
		else
			know_exception(s, LISTEN_NO);
	}
	s->known_by = UINT64_MAX;
}

void listen_arrive_drop(struct listen_session *s)
{
	listen_match_drop(&s->match);
	arena_free(s->match_arena);
	free(s->peer_name);
}

static void ask_name(struct listen_session *s)
{
	const struct listen *l = s->port->listen;
	uint64_t patience = s->port->setting->peer_name_ms;

	s->known_by = listen_session_now(s) + patience;
	if (s->port->setting->has_peer_names && l->calls->name)
		l->calls->name(l->arg, listen_session_request(s, LISTEN_REQUEST_NAME), &s->address);
	else
		look_for_exception(s);
}

void listen_arrive_begin(struct listen_session *s)
{
	const struct listen_setting *o = s->port->setting;

	s->known_by = UINT64_MAX;
	if (!s->has_address) {
		look_for_exclusion(s);
		return;
	}
	s->key = listen_networks_mask(s->address, o->prefix[s->address.family]);
	if (listen_networks_match(&s->port->setting->exceptions, &s->address) == LISTEN_NO &&
	    is_over_limit(s))
		welcome(s, true);
	else
		ask_name(s);
}
