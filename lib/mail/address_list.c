#include "mail/address_list.h"

#include <string.h>

#include "base/limits.h"
#include "mail/mailbox.h"

/* One address, as far as it was read. Words that stand side by side are a display name: then only
 * what is in angle brackets counts. */
struct reader {
	struct str in;
	char text[SMTP_PATH_MAX];
	size_t n, n_at;
	bool is_bad;    /* wherever it stands */
	bool is_long;   /* more than `text` holds */
	bool is_phrase; /* a display name, unless nothing in brackets follows */
	bool has_word;  /* the last token was one, or an address literal */
	bool is_seen;   /* there was a token at all */
	bool has_angle, is_in_angle;
};

static void keep(struct reader *r, struct str s)
{
	if (s.n > sizeof(r->text) - r->n) {
		r->is_long = true;
		return;
	}
	memcpy(r->text + r->n, s.p, s.n);
	r->n += s.n;
}

static void forget(struct reader *r)
{
	r->n = r->n_at = 0;
	r->is_long = r->is_phrase = r->has_word = false;
}

/* A quoted string or an address literal, with both ends and without line ends. */
static void take_enclosed(struct reader *r, char end)
{
	size_t i = 1;

	keep(r, str_first(r->in, 1));
	for (; i < r->in.n && r->in.p[i] != end; i++) {
		bool is_pair = r->in.p[i] == '\\' && i + 1 < r->in.n;

		if (r->in.p[i] != '\r' && r->in.p[i] != '\n')
			keep(r, str_span(r->in.p + i, is_pair ? 2 : 1));
		i += is_pair;
	}
	if (i < r->in.n)
		keep(r, str_span(&end, 1));
	else
		r->is_bad = true; /* open */
	r->in = str_from(r->in, i + 1);
}

/* RFC 5322 section 3.2.2; comments lie in comments. */
static void skip_comment(struct reader *r)
{
	size_t depth = 0, i = 0;

	for (; i < r->in.n; i++) {
		if (r->in.p[i] == '\\')
			i++;
		else if (r->in.p[i] == '(')
			depth++;
		else if (r->in.p[i] == ')' && --depth == 0)
			break;
	}
	if (i >= r->in.n)
		r->is_bad = true;
	r->in = str_from(r->in, i + 1);
}

static bool is_special(char c)
{
	return c != '\0' && strchr("()<>[]:;@\\,.\" \t\r\n\f\v", c);
}

static void begin_word(struct reader *r)
{
	if (r->has_word || (r->has_angle && !r->is_in_angle))
		r->is_phrase = true;
	r->has_word = true;
	r->is_seen = true;
}

static void take_atom(struct reader *r)
{
	size_t n = 0;

	begin_word(r);
	while (n < r->in.n && !is_special(r->in.p[n]))
		n++;
	keep(r, str_first(r->in, n));
	r->in = str_from(r->in, n);
}

static void take_joint(struct reader *r)
{
	r->is_bad = r->is_bad || (r->has_angle && !r->is_in_angle);
	r->n_at += r->in.p[0] == '@';
	keep(r, str_first(r->in, 1));
	r->in = str_from(r->in, 1);
	r->has_word = false;
	r->is_seen = true;
}

static void open_angle(struct reader *r)
{
	r->in = str_from(r->in, 1);
	r->is_bad = r->is_bad || r->has_angle;
	r->has_angle = r->is_in_angle = r->is_seen = true;
	forget(r);
}

static void close_angle(struct reader *r)
{
	r->in = str_from(r->in, 1);
	r->is_bad = r->is_bad || !r->is_in_angle || r->is_phrase;
	r->is_in_angle = false;
	r->has_word = false;
}

/* The name of a group, or a source route: "<@a,@b:c@d>" (RFC 5322 section 4.4). */
static void take_colon(struct reader *r)
{
	r->in = str_from(r->in, 1);
	if (r->is_in_angle) {
		r->is_bad = r->is_bad || r->n == 0 || r->text[0] != '@';
	} else {
		r->is_bad = r->is_bad || r->has_angle || !r->has_word;
		r->is_seen = false;
	}
	forget(r);
}

/* False: the address ends before this octet. */
static bool take_token(struct reader *r)
{
	char c = r->in.p[0];
	bool is_route = r->is_in_angle && r->n > 0 && r->text[0] == '@';

	if (c == ';' || (c == ',' && !is_route))
		return false;
	if (c == '(') {
		skip_comment(r);
	} else if (c == ' ' || (c >= '\t' && c <= '\r')) {
		r->in = str_from(r->in, 1);
	} else if (c == '"' || c == '[') {
		begin_word(r);
		take_enclosed(r, c == '"' ? '"' : ']');
	} else if (c == '.' || c == '@' || c == ',') {
		take_joint(r);
	} else if (c == '<') {
		open_angle(r);
	} else if (c == '>') {
		close_angle(r);
	} else if (c == ':') {
		take_colon(r);
	} else if (is_special(c)) {
		r->is_bad = r->is_seen = true;
		r->in = str_from(r->in, 1);
	} else {
		take_atom(r);
	}
	return true;
}

static bool is_good(const struct reader *r)
{
	struct mailbox m;

	return !r->is_bad && !r->is_long && !r->is_phrase && !r->is_in_angle && r->n > 0 &&
	       r->n_at <= 1 && r->text[0] != '@' && mailbox_parse(str_span(r->text, r->n), &m);
}

enum address_list address_list_next(struct str *rest, struct arena *a, struct str *address)
{
	struct reader r = { .in = *rest };

	while (!r.is_seen && !r.is_bad && r.in.n > 0) {
		while (r.in.n > 0 && take_token(&r))
			;
		r.in = str_from(r.in, 1);
	}
	*rest = r.in;
	if (!r.is_seen && !r.is_bad)
		return ADDRESS_LIST_END;
	if (!is_good(&r))
		return ADDRESS_LIST_BAD;
	*address = arena_str(a, str_span(r.text, r.n));
	return ADDRESS_LIST_ONE;
}
