#include "route/login.h"

#include "base/limits.h"
#include "mail/mailbox.h"

static void add(struct route_login_key *keys, size_t *n, struct str text, bool is_partial)
{
	for (size_t i = 0; i < *n; i++)
		if (str_eq(keys[i].text, text))
			return;
	if (text.n)
		keys[(*n)++] = (struct route_login_key){ text, is_partial };
}

/* A sender's own: the address, without its extension; the same without the domain where that is
 * ours; the domain. As in Postfix. */
static void add_sender(struct arena *a, const struct conf *conf,
		       const struct route_login_subject *s, struct route_login_key *keys, size_t *n)
{
	struct str delimiters = conf_str(conf, CONF_recipient_delimiter), base;
	struct mailbox m;

	add(keys, n, s->sender, false);
	if (!mailbox_parse(s->sender, &m) || !m.domain.n)
		return;
	if (!mailbox_strip_extension(m.local, delimiters, &base))
		base = m.local;
	add(keys, n, arena_fmt(a, STR_FMT "@" STR_FMT, STR_ARG(base), STR_ARG(m.domain)), true);
	if (s->is_sender_our_own) {
		add(keys, n, m.local, true);
		add(keys, n, base, true);
	}
	add(keys, n, arena_fmt(a, "@" STR_FMT, STR_ARG(m.domain)), true);
}

/* LMTP has no sender's own logins, whatever its parameter says: as in Postfix. */
bool route_login_has_sender(const struct conf *conf, enum route_protocol protocol,
			    struct str sender)
{
	return sender.n > 0 && protocol == ROUTE_SMTP &&
	       conf_bool(conf, CONF_smtp_sender_dependent_authentication);
}

/* A server behind a UNIX-domain socket is this machine, its next-hop the path. As in Postfix. */
static struct str socket_path(const struct route_login_subject *s)
{
	bool is_socket = s->protocol == ROUTE_LMTP && str_has_prefix(s->nexthop, STR("unix:"));

	return is_socket ? str_from(s->nexthop, 5) : STR_NONE;
}

size_t route_login_keys(struct arena *a, const struct conf *conf,
			const struct route_login_subject *s,
			struct route_login_key keys[ROUTE_LOGIN_KEYS_MAX])
{
	struct str host = s->host, path = socket_path(s);
	size_t n = 0;

	if (route_login_has_sender(conf, s->protocol, s->sender))
		add_sender(a, conf, s, keys, &n);
	if (path.n) {
		add(keys, &n, conf_str(conf, CONF_myhostname), false);
		add(keys, &n, path, false);
		return n;
	}
	if (str_has_prefix(host, STR("[")) && host.n > 2) /* an address goes by itself */
		host = str_span(host.p + 1, host.n - 2);
	add(keys, &n, host, false);
	add(keys, &n, route_table_key(s->protocol, s->nexthop), false);
	return n;
}

static bool is_text(struct str s)
{
	return s.n > 0 && s.n <= ROUTE_LOGIN_MAX && !str_contains(s, '\0');
}

bool route_login_split(struct str value, struct str delimiter, struct str *user,
		       struct str *password)
{
	return delimiter.n == 1 && str_cut(value, delimiter.p[0], user, password) &&
	       is_text(*user) && is_text(*password);
}
