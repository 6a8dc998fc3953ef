/* Whether a client is in a list, with its name and the tables of the list: as in postconf(5), the
 * first pattern that matches decides. A table is asked for the client's name, for the domains above
 * it, and for its address. What could not be looked up is never taken for "no". */

#include "listen/room.h"

#include "mail/domain.h"

static bool name_covers(const struct listen_match *m, struct str name)
{
	struct str client = m->name;

	if (client.n == 0 || str_eq(name, client))
		return client.n > 0;
	if (name.n >= client.n || !str_has_suffix(client, name))
		return false;
	return str_has_prefix(name, STR(".")) ||
	       (m->networks->has_parents && client.p[client.n - name.n - 1] == '.');
}

/* The keys of a table, one after the other. */

static void use_address(struct listen_match *m)
{
	m->key = address_text(m->arena, m->address);
	m->key_kind = LISTEN_KEY_ADDRESS;
}

static void first_key(struct listen_match *m)
{
	m->key = m->name;
	m->key_kind = LISTEN_KEY_NAME;
	if (m->name.n == 0)
		use_address(m);
}

static bool next_key(struct listen_match *m)
{
	size_t dot;

	if (m->key_kind == LISTEN_KEY_ADDRESS)
		return false;
	if (m->key.n > 1 && str_find(str_from(m->key, 1), '.', &dot)) {
		m->key = str_from(m->key, dot + 1 + (m->networks->has_parents ? 1 : 0));
		m->key_kind = LISTEN_KEY_PARENT;
	} else {
		use_address(m);
	}
	return true;
}

static void on_answered(void *arg, const struct answer *answer);

static enum listen_matched matched_of(const struct answer *answer)
{
	return answer->status == ANSWER_FOUND    ? LISTEN_YES
	       : answer->status == ANSWER_FAILED ? LISTEN_FAILED
						 : LISTEN_NO;
}

/* OPEN: the answer comes later. */
static enum listen_matched ask(struct listen_match *m, struct str table)
{
	struct answer answer = { .status = ANSWER_FAILED };

	m->query = (struct table_query){
		.arena = m->arena,
		.key = m->key,
		.is_partial = m->key_kind == LISTEN_KEY_PARENT,
		.now_ms = m->now,
		.answered = on_answered,
		.arg = m,
	};
	m->lookup = tables_lookup(m->tables, table, &m->query, &answer);
	return m->lookup ? LISTEN_OPEN : matched_of(&answer);
}

/* `known`: what the last key gave, OPEN: none was asked yet. */
static enum listen_matched
look_up(struct listen_match *m, struct str table, enum listen_matched known)
{
	if (known == LISTEN_OPEN) {
		first_key(m);
		known = ask(m, table);
	}
	while (known == LISTEN_NO && next_key(m))
		known = ask(m, table);
	return known;
}

static enum listen_matched
try_pattern(struct listen_match *m, const struct listen_pattern *p, enum listen_matched known)
{
	switch (p->kind) {
	case LISTEN_PATTERN_NETWORK:
		return listen_pattern_has(p, m->address) ? LISTEN_YES : LISTEN_NO;
	case LISTEN_PATTERN_NAME:
		return name_covers(m, p->text) ? LISTEN_YES : LISTEN_NO;
	case LISTEN_PATTERN_TABLE:
		return look_up(m, p->text, known);
	case LISTEN_PATTERN_FILE:
		break;
	}
	CHECK(!"a list in a file was read");
	return LISTEN_FAILED;
}

static enum listen_matched go_on(struct listen_match *m, enum listen_matched known)
{
	for (; m->at < m->networks->n; m->at++, known = LISTEN_OPEN) {
		const struct listen_pattern *p = &m->networks->v[m->at];
		enum listen_matched is = try_pattern(m, p, known);

		if (is == LISTEN_YES)
			return p->is_negated ? LISTEN_NO : LISTEN_YES;
		if (is != LISTEN_NO)
			return is;
		if (!m->is_name_in_doubt || p->kind == LISTEN_PATTERN_NETWORK)
			continue;
		if (p->is_negated) /* its name could be one that is kept out */
			return LISTEN_FAILED;
		m->is_in_doubt = true;
	}
	return m->is_in_doubt ? LISTEN_FAILED : LISTEN_NO;
}

static void on_answered(void *arg, const struct answer *answer)
{
	struct listen_match *m = arg;

	m->lookup = NULL;
	enum listen_matched is = go_on(m, matched_of(answer));
	if (is != LISTEN_OPEN)
		m->done(m->arg, is); /* may free m */
}

enum listen_matched listen_match_begin(struct listen_match *m)
{
	m->at = 0;
	return go_on(m, LISTEN_OPEN);
}

void listen_match_drop(struct listen_match *m)
{
	if (m->lookup)
		table_lookup_cancel(m->lookup);
	m->lookup = NULL;
}
