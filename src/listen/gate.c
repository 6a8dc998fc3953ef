/* Who may send what: mynetworks, authentication, and the restrictions of the configuration that
 * are known here, which can only forbid more. Asked once for each message, with its first
 * recipient. postconf(5), SMTPD_ACCESS_README. */

#include "listen/room.h"

#include <stdlib.h>

#include "mail/domain.h"
#include "mail/mailbox.h"

enum { LOGIN_KEYS = 4 };

struct listen_gate {
	struct listen_session *session;
	struct smtp_server_event question; /* lives as long as the engine's */
	struct arena *arena;
	struct listen_match match;
	struct str keys[LOGIN_KEYS]; /* of smtpd_sender_login_maps */
	size_t n_keys, at;
	struct table_query query;
	struct table_lookup *lookup;
	struct str owners; /* .p NULL: nobody is known to own the sender */
	bool has_owners_failed;
};

void listen_gate_drop(struct listen_session *s)
{
	struct listen_gate *g = s->gate;

	if (!g)
		return;
	listen_match_drop(&g->match);
	if (g->lookup)
		table_lookup_cancel(g->lookup);
	arena_free(g->arena);
	free(g);
	s->gate = NULL;
}

/* The verdict. Code 0: go on. */

static const struct smtp_reply lookup_failed = { 451,
						 { 4, 3, 0 },
						 STR_INIT("temporary lookup failure") };

static bool is_owner(const struct listen_gate *g)
{
	struct str rest = g->owners, owner;

	while (str_token(&rest, STR(", \t\r\n"), &owner))
		if (str_ieq_ascii(owner, str_of(g->session->user)))
			return true;
	return false;
}

static struct smtp_reply mismatch(const struct listen_gate *g, bool is_for_authenticated,
				  bool is_for_others, bool is_known_only)
{
	const struct listen_session *s = g->session;
	struct str sender = s->mail->mail.sender;
	struct arena *a = s->mail->arena;

	if (sender.n == 0 || !s->port->setting->has_auth)
		return (struct smtp_reply){ 0 };
	if (g->has_owners_failed)
		return lookup_failed;
	if (s->user && is_for_authenticated && !is_owner(g) && (g->owners.p || !is_known_only))
		return (struct smtp_reply){ 553, STATUS(5, 7, 1),
					    arena_fmt(a, "<" STR_FMT ">: this sender is not yours",
						      STR_ARG(sender)) };
	if (!s->user && is_for_others && g->owners.p)
		return (struct smtp_reply){ 553, STATUS(5, 7, 1),
					    arena_fmt(a, "<" STR_FMT ">: authenticate first",
						      STR_ARG(sender)) };
	return (struct smtp_reply){ 0 };
}

static bool is_own(const struct listen_session *s)
{
	return !s->has_address ||
	       listen_networks_match(&s->port->setting->own, &s->address) == LISTEN_YES;
}

/* One word; *ends: the list ends here. */
static struct smtp_reply apply(const struct listen_gate *g, enum conf_restriction word, bool *ends)
{
	const struct listen_session *s = g->session;
	enum listen_matched is_near = s->mail->in_mynetworks;

	switch (word) {
	case CONF_RESTRICTION_UNKNOWN:
	case CONF_RESTRICTION_NONE:
	case CONF_RESTRICTION_WARN_IF_REJECT:
		break;
	case CONF_RESTRICTION_PERMIT:
		*ends = true;
		break;
	case CONF_RESTRICTION_PERMIT_MYNETWORKS:
		*ends = is_near == LISTEN_YES;
		return is_near == LISTEN_FAILED ? lookup_failed : (struct smtp_reply){ 0 };
	case CONF_RESTRICTION_PERMIT_INET_INTERFACES:
		*ends = is_own(s);
		break;
	case CONF_RESTRICTION_PERMIT_SASL:
		*ends = s->user != NULL;
		break;
	case CONF_RESTRICTION_REJECT:
		return (struct smtp_reply){ 554, STATUS(5, 7, 1), STR("access denied") };
	case CONF_RESTRICTION_DEFER:
		return (struct smtp_reply){ 450, STATUS(4, 7, 1), STR("try again later") };
	case CONF_RESTRICTION_REJECT_UNAUTH_DESTINATION:
		return (struct smtp_reply){ 554, STATUS(5, 7, 1), STR("Relay access denied") };
	case CONF_RESTRICTION_DEFER_UNAUTH_DESTINATION:
		return (struct smtp_reply){ 454, STATUS(4, 7, 1), STR("Relay access denied") };
	case CONF_RESTRICTION_LOGIN_MISMATCH:
		return mismatch(g, true, true, false);
	case CONF_RESTRICTION_LOGIN_MISMATCH_AUTHENTICATED:
		return mismatch(g, true, false, false);
	case CONF_RESTRICTION_LOGIN_MISMATCH_UNAUTHENTICATED:
		return mismatch(g, false, true, false);
	case CONF_RESTRICTION_LOGIN_MISMATCH_KNOWN:
		return mismatch(g, true, false, true);
	}
	return (struct smtp_reply){ 0 };
}

static struct smtp_reply apply_list(const struct listen_gate *g, const struct listen_rules *rules)
{
	struct smtp_reply r = { 0 };
	bool ends = false;

	for (size_t i = 0; i < rules->n && !ends && r.code == 0; i++)
		r = apply(g, rules->v[i], &ends);
	return r;
}

static struct smtp_reply judge(const struct listen_gate *g)
{
	const struct listen_session *s = g->session;

	for (size_t i = 0; i < LISTEN_RULES; i++) {
		struct smtp_reply r = apply_list(g, &s->port->setting->rules[i]);
		if (r.code)
			return r;
	}
	if (s->user || s->mail->in_mynetworks == LISTEN_YES)
		return (struct smtp_reply){ 0 };
	if (s->mail->in_mynetworks == LISTEN_FAILED)
		return lookup_failed;
	return (struct smtp_reply){ 554, STATUS(5, 7, 1), STR("Relay access denied") };
}

static void pass_judgement(struct listen_gate *g)
{
	struct listen_session *s = g->session;
	struct smtp_server_event e = g->question;
	struct smtp_reply r = judge(g);

	s->mail->verdict = r;
	s->mail->has_verdict = r.code == 0 || r.code >= 500; /* a failed lookup is tried again */
	listen_gate_drop(s);
	listen_session_judged(s, &e, r);
}

/* smtpd_sender_login_maps: the address, without extension, the local part of a domain of ours, the
 * domain. */

static void add_key(struct listen_gate *g, struct str key)
{
	if (g->n_keys < LOGIN_KEYS)
		g->keys[g->n_keys++] = key;
}

static void make_keys(struct listen_gate *g)
{
	const struct listen_setting *o = g->session->port->setting;
	struct mailbox box;

	if (!mailbox_parse(g->session->mail->mail.sender, &box))
		return;
	struct str local = mailbox_dequote(g->arena, box.local), base;
	bool is_extended = mailbox_strip_extension(local, o->recipient_delimiter, &base);
	add_key(g, arena_fmt(g->arena, STR_FMT "@" STR_FMT, STR_ARG(local), STR_ARG(box.domain)));
	if (is_extended)
		add_key(g, arena_fmt(g->arena, STR_FMT "@" STR_FMT, STR_ARG(base),
				     STR_ARG(box.domain)));
	if (box.domain.n == 0 ||
	    str_eq(domain_fold(g->arena, box.domain), domain_fold(g->arena, o->origin)))
		add_key(g, is_extended ? base : local);
	if (box.domain.n > 0)
		add_key(g, arena_fmt(g->arena, "@" STR_FMT, STR_ARG(box.domain)));
}

static void on_owners(void *arg, const struct answer *answer);

/* True: it is answered now. */
static bool ask_owners(struct listen_gate *g, struct answer *answer)
{
	g->query = (struct table_query){
		.arena = g->arena,
		.key = g->keys[g->at],
		.is_partial = g->at > 0,
		.now_ms = listen_session_now(g->session),
		.answered = on_owners,
		.arg = g,
	};
	g->lookup = table_set_lookup(g->session->port->logins, &g->query, answer);
	return !g->lookup;
}

static void take_owners(struct listen_gate *g, const struct answer *answer)
{
	g->at++;
	if (answer->status == ANSWER_NONE)
		return;
	g->has_owners_failed = answer->status == ANSWER_FAILED;
	if (!g->has_owners_failed)
		g->owners = arena_str(g->arena, answer->value);
	g->at = g->n_keys;
}

static void look_for_owners(struct listen_gate *g)
{
	while (g->at < g->n_keys) {
		struct answer answer = { .status = ANSWER_FAILED };
		if (!ask_owners(g, &answer))
			return;
		take_owners(g, &answer);
	}
	pass_judgement(g);
}

static void on_owners(void *arg, const struct answer *answer)
{
	struct listen_gate *g = arg;
	struct listen_session *s = g->session;

	g->lookup = NULL;
	take_owners(g, answer);
	look_for_owners(g);
	listen_session_turn(s);
}

/* mynetworks. */

static void know_networks(struct listen_gate *g, enum listen_matched is)
{
	struct listen_session *s = g->session;

	s->mail->in_mynetworks = is;
	if (s->port->logins)
		make_keys(g);
	look_for_owners(g);
}

static void on_matched(void *arg, enum listen_matched is)
{
	struct listen_gate *g = arg;
	struct listen_session *s = g->session;

	know_networks(g, is);
	listen_session_turn(s);
}

static void ask_networks(struct listen_gate *g)
{
	struct listen_session *s = g->session;

	if (!s->has_address) {
		know_networks(g, LISTEN_YES);
		return;
	}
	listen_session_match(s, &g->match, &s->port->setting->mynetworks, g->arena);
	g->match.done = on_matched;
	g->match.arg = g;
	enum listen_matched is = listen_match_begin(&g->match);
	if (is != LISTEN_OPEN)
		know_networks(g, is);
}

void listen_gate_ask(struct listen_session *s, const struct smtp_server_event *e)
{
	struct listen_gate *g;

	if (s->mail->has_verdict) {
		listen_session_judged(s, e, s->mail->verdict);
		return;
	}
	g = base_alloc(sizeof(*g));
	s->gate = g;
	g->session = s;
	g->question = *e;
	g->arena = arena_new();
	ask_networks(g);
}
