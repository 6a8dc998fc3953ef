/* Lists of clients: mynetworks in postconf(5). What can be said of an address alone is said here,
 * the rest in match.c. */

#include "listen/room.h"

#include <stdlib.h>

#include "base/limits.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "os/os.h"

static const struct str separators = STR_INIT(", \t\r\n");

enum { FILES_DEEP_MAX = 10 }; /* a list in a list */

static unsigned bits_of(enum address_family f)
{
	return f == ADDRESS_V4 ? 32 : 128;
}

struct address listen_networks_mask(struct address a, unsigned prefix)
{
	for (unsigned i = 0; i < bits_of(a.family) / 8; i++) {
		unsigned keep = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? prefix - 8 * i : 0;
		a.octets[i] &= (uint8_t)(0xff00u >> keep);
	}
	return a;
}

static bool parse_prefix(struct str text, enum address_family f, unsigned *out)
{
	uint64_t n;

	if (!str_to_u64(text, &n) || n > bits_of(f))
		return false;
	*out = (unsigned)n;
	return true;
}

static bool parse_network(struct str text, struct listen_pattern *out)
{
	struct str address = text, prefix = STR("");
	bool has_prefix = str_rcut(text, '/', &address, &prefix);

	if (address.n > 2 && address.p[0] == '[' && address.p[address.n - 1] == ']')
		address = str_first(str_from(address, 1), address.n - 2);
	if (!address_parse(address, &out->address))
		return false;
	out->prefix = bits_of(out->address.family);
	if (has_prefix && !parse_prefix(prefix, out->address.family, &out->prefix))
		return false;
	struct address masked = listen_networks_mask(out->address, out->prefix);
	return address_eq(&masked, &out->address); /* 10.0.0.1/8 is a slip, as in Postfix */
}

/* "hash:/file", "inline:{...}", "tcp:host:port", but no IPv6 address. */
static bool is_table(struct str text)
{
	struct str type, rest;
	bool is_hex = true;

	if (!str_cut(text, ':', &type, &rest) || type.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++) {
		if (!ascii_is_alpha(type.p[i]))
			return false;
		is_hex = is_hex && (type.p[i] | 0x20) <= 'f';
	}
	return rest.n > 0 && (rest.p[0] == '/' || rest.p[0] == '{' || !is_hex || type.n > 4 ||
			      !str_contains(rest, ':'));
}

static bool parse_pattern(struct arena *a, struct str text, struct listen_pattern *out)
{
	bool is_dotted = str_has_prefix(text, STR("."));

	if (str_has_prefix(text, STR("/"))) {
		out->kind = LISTEN_PATTERN_FILE;
	} else if (parse_network(text, out)) {
		out->kind = LISTEN_PATTERN_NETWORK;
	} else if (is_table(text)) {
		out->kind = LISTEN_PATTERN_TABLE;
	} else if (domain_is_hostname(is_dotted ? str_from(text, 1) : text)) {
		out->kind = LISTEN_PATTERN_NAME;
		text = domain_fold(a, text);
	} else {
		return false;
	}
	out->text = arena_str(a, text);
	return true;
}

static bool add_token(struct arena *a, struct str name, struct str token, bool is_negated,
		      struct listen_networks *out, struct error *e)
{
	struct listen_pattern *to = &out->v[out->n];

	to->is_negated = is_negated;
	for (; str_has_prefix(token, STR("!")); token = str_from(token, 1))
		to->is_negated = !to->is_negated;
	if (!parse_pattern(a, token, to))
		return error_set(e, ERROR_CONFIG,
				 STR_FMT ": \"" STR_FMT
					 "\" is no address, network/mask, name, table or file",
				 STR_ARG(name), STR_ARG(str_first(token, 60)));
	out->n++;
	return true;
}

static bool parse(struct arena *a, struct str name, struct str text, bool is_negated,
		  struct listen_networks *out, struct error *e)
{
	struct str rest = text, token;
	size_t n = 0;

	while (str_token_braced(&rest, separators, &token))
		n++;
	*out = (struct listen_networks){ .v = ARENA_ARRAY(a, n, struct listen_pattern) };
	for (rest = text; str_token_braced(&rest, separators, &token);)
		if (!add_token(a, name, token, is_negated, out, e))
			return false;
	return true;
}

bool listen_networks_parse(struct arena *a, struct str name, struct str text,
			   struct listen_networks *out, struct error *e)
{
	return parse(a, name, text, false, out, e);
}

/* Files. */

static bool read_text(struct arena *a, struct str path, struct str *out, struct error *e)
{
	struct os_file_id id;
	struct buf text, plain;
	struct str rest, line;

	buf_init(&text, CONF_FILE_MAX);
	buf_init(&plain, CONF_FILE_MAX + 1);
	bool is_read = os_file_read(path.p, &text, &id, e);
	rest = is_read ? buf_str(&text) : STR("");
	while (rest.n > 0) {
		if (!str_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = STR("");
		}
		if (!str_has_prefix(str_trim(line), STR("#")))
			CHECK(buf_add(&plain, line) && buf_add(&plain, STR("\n")));
	}
	*out = arena_str(a, buf_str(&plain));
	buf_fini(&plain);
	buf_fini(&text);
	return is_read;
}

/* There is room up to the next power of two. */
static void append(struct arena *a, struct listen_networks *to, const struct listen_pattern *p)
{
	if ((to->n & (to->n - 1)) == 0) {
		struct listen_pattern *v =
			ARENA_ARRAY(a, to->n ? 2 * to->n : 1, struct listen_pattern);

		for (size_t i = 0; i < to->n; i++)
			v[i] = to->v[i];
		to->v = v;
	}
	to->v[to->n++] = *p;
}

static bool expand(struct arena *a, struct str name, const struct listen_networks *in,
		   unsigned depth, struct listen_networks *out, struct error *e);

static bool expand_file(struct arena *a, struct str name, const struct listen_pattern *p,
			unsigned depth, struct listen_networks *out, struct error *e)
{
	struct listen_networks listed;
	struct str text;

	if (depth > FILES_DEEP_MAX)
		return error_set(e, ERROR_CONFIG,
				 STR_FMT ": a list in a list in a list ... in " STR_FMT,
				 STR_ARG(name), STR_ARG(p->text));
	if (!read_text(a, p->text, &text, e))
		return error_prefix(e, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(p->text));
	if (!parse(a, name, text, p->is_negated, &listed, e))
		return error_prefix(e, STR_FMT, STR_ARG(p->text));
	return expand(a, name, &listed, depth + 1, out, e);
}

static bool expand(struct arena *a, struct str name, const struct listen_networks *in,
		   unsigned depth, struct listen_networks *out, struct error *e)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->v[i].kind != LISTEN_PATTERN_FILE)
			append(a, out, &in->v[i]);
		else if (!expand_file(a, name, &in->v[i], depth, out, e))
			return false;
	}
	return true;
}

bool listen_networks_read(struct arena *a, struct str name, const struct listen_networks *in,
			  struct listen_networks *out, struct error *e)
{
	*out = (struct listen_networks){ .has_parents = in->has_parents };
	return expand(a, name, in, 0, out, e);
}

bool listen_networks_have(const struct listen_networks *n, enum listen_pattern_kind kind)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].kind == kind)
			return true;
	return false;
}

/* Networks of the old classes: 10.0.0.1 stands for 10.0.0.0/8. */
static unsigned class_prefix(const struct net_network *n)
{
	uint8_t first = n->address.octets[0];

	if (n->address.family == ADDRESS_V6)
		return n->prefix;
	return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

bool listen_networks_default(struct arena *a, struct str style, const struct net_network *own,
			     size_t n, struct listen_networks *out)
{
	bool is_host = str_ieq_ascii(style, STR("host")),
	     is_class = str_ieq_ascii(style, STR("class"));

	*out = (struct listen_networks){ .v = ARENA_ARRAY(a, n, struct listen_pattern), .n = n };
	for (size_t i = 0; i < n; i++) {
		unsigned prefix = is_host    ? bits_of(own[i].address.family)
				  : is_class ? class_prefix(&own[i])
					     : own[i].prefix;
		out->v[i].prefix = prefix;
		out->v[i].address = listen_networks_mask(own[i].address, prefix);
	}
	return is_host || is_class || str_ieq_ascii(style, STR("subnet"));
}

bool listen_pattern_has(const struct listen_pattern *p, const struct address *client)
{
	struct address masked;

	if (p->kind != LISTEN_PATTERN_NETWORK || p->address.family != client->family)
		return false;
	masked = listen_networks_mask(*client, p->prefix);
	return address_eq(&masked, &p->address);
}

enum listen_matched
listen_networks_match(const struct listen_networks *n, const struct address *client)
{
	for (size_t i = 0; i < n->n; i++) {
		if (n->v[i].kind != LISTEN_PATTERN_NETWORK)
			return LISTEN_OPEN;
		if (listen_pattern_has(&n->v[i], client))
			return n->v[i].is_negated ? LISTEN_NO : LISTEN_YES;
	}
	return LISTEN_NO;
}
