#include "proto/control.h"

#include <stdio.h>

#include "base/json.h"

enum control_take control_take(struct str in, struct str *line, size_t *used)
{
	struct str window = str_first(in, CONTROL_LINE_MAX);
	size_t n;

	if (!str_find(window, '\n', &n))
		return in.n >= CONTROL_LINE_MAX ? CONTROL_TAKE_BAD : CONTROL_TAKE_MORE;
	*line = str_first(in, n);
	*used = n + 1;
	return CONTROL_TAKE_OK;
}

static const struct str kinds[] = {
	[CONTROL_STATUS] = STR_INIT("status"),   [CONTROL_DESTINATIONS] = STR_INIT("destinations"),
	[CONTROL_SUMMARY] = STR_INIT("summary"), [CONTROL_LIST] = STR_INIT("list"),
	[CONTROL_SHOW] = STR_INIT("show"),       [CONTROL_CAT] = STR_INIT("cat"),
	[CONTROL_RELOAD] = STR_INIT("reload"),   [CONTROL_STOP] = STR_INIT("stop"),
	[CONTROL_HOLD] = STR_INIT("hold"),       [CONTROL_RELEASE] = STR_INIT("release"),
	[CONTROL_RETRY] = STR_INIT("retry"),     [CONTROL_DELETE] = STR_INIT("delete"),
	[CONTROL_REQUEUE] = STR_INIT("requeue"), [CONTROL_FLUSH] = STR_INIT("flush"),
};

struct str control_kind_name(enum control_kind k)
{
	return kinds[k];
}

bool control_kind_parse(struct str name, enum control_kind *out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (str_eq(name, kinds[i])) {
			*out = (enum control_kind)i;
			return true;
		}
	}
	return false;
}

bool control_is_change(enum control_kind k)
{
	return k >= CONTROL_HOLD;
}

bool control_is_reading(enum control_kind k)
{
	return k >= CONTROL_SUMMARY && k <= CONTROL_CAT;
}

static const struct {
	struct str name;
	enum control_state state;
} states[] = {
	{ STR_INIT("queued"), CONTROL_QUEUED },
	{ STR_INIT("held"), CONTROL_HELD },
	{ STR_INIT("finished"), CONTROL_FINISHED },
};

bool control_state_parse(struct str name, enum control_state *out)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (str_eq(name, states[i].name)) {
			*out = states[i].state;
			return true;
		}
	}
	return false;
}

/* ---- JSON, as far as it is needed: RFC 8259 ---- */

struct reader {
	struct arena *arena;
	struct str rest;
};

static void skip_blanks(struct reader *r)
{
	while (r->rest.n > 0 &&
	       (r->rest.p[0] == ' ' || r->rest.p[0] == '\t' || r->rest.p[0] == '\r'))
		r->rest = str_from(r->rest, 1);
}

static bool take_text(struct reader *r, struct str text)
{
	skip_blanks(r);
	if (!str_has_prefix(r->rest, text))
		return false;
	r->rest = str_from(r->rest, text.n);
	return true;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of a \u escape. */
static bool take_unit(struct reader *r, uint32_t *out)
{
	uint32_t v = 0;

	if (r->rest.n < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(r->rest.p[i]);
		if (digit < 0)
			return false;
		v = v * 16 + (uint32_t)digit;
	}
	r->rest = str_from(r->rest, 4);
	*out = v;
	return true;
}

static bool is_surrogate(uint32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdfff;
}

/* Two escapes make one character beyond 16 bits. A lone one is none, nor is a NUL text here. */
static bool take_code(struct reader *r, uint32_t *code)
{
	uint32_t low;

	if (!take_unit(r, code) || *code == 0)
		return false;
	if (!is_surrogate(*code))
		return true;
	if (*code > 0xdbff || !str_has_prefix(r->rest, STR("\\u")))
		return false;
	r->rest = str_from(r->rest, 2);
	if (!take_unit(r, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(leads[n] | c);
	return n;
}

/* What follows a backslash. */
static bool take_escape(struct reader *r, char *out, size_t *n)
{
	static const char letters[] = "\"\\/bfnrt", octets[] = "\"\\/\b\f\n\r\t";
	uint32_t code;
	size_t at;

	if (r->rest.n == 0)
		return false;
	char c = r->rest.p[0];
	r->rest = str_from(r->rest, 1);
	if (c == 'u') {
		if (!take_code(r, &code))
			return false;
		*n += put_utf8(out + *n, code);
		return true;
	}
	if (!str_find(str_span(letters, sizeof(letters) - 1), c, &at))
		return false;
	out[(*n)++] = octets[at];
	return true;
}

/* A string. No escape is longer than what it stands for. */
static bool take_string(struct reader *r, struct str *out)
{
	size_t n = 0, step;

	if (!take_text(r, STR("\"")))
		return false;
	char *p = arena_alloc(r->arena, r->rest.n + 1);
	while (r->rest.n > 0 && r->rest.p[0] != '"') {
		if (r->rest.p[0] == '\\') {
			r->rest = str_from(r->rest, 1);
			if (!take_escape(r, p, &n))
				return false;
			continue;
		}
		step = str_utf8_len(r->rest);
		if (step == 0 || (unsigned char)r->rest.p[0] < ' ')
			return false;
		for (size_t i = 0; i < step; i++)
			p[n++] = r->rest.p[i];
		r->rest = str_from(r->rest, step);
	}
	*out = str_span(p, n);
	return take_text(r, STR("\""));
}

/* ---- requests ---- */

enum member {
	REQUEST,
	ALL,
	DESTINATION,
	MESSAGE,
	RECIPIENT,
	SENDER,
	REASON,
	STATES,
	ARRIVED_BEFORE,
	MEMBERS
};

static const struct str members[MEMBERS] = {
	[REQUEST] = STR_INIT("request"),
	[ALL] = STR_INIT("all"),
	[DESTINATION] = STR_INIT("destination"),
	[MESSAGE] = STR_INIT("message"),
	[RECIPIENT] = STR_INIT("recipient"),
	[SENDER] = STR_INIT("sender"),
	[REASON] = STR_INIT("reason"),
	[STATES] = STR_INIT("states"),
	[ARRIVED_BEFORE] = STR_INIT("arrived_before_ms"),
};

static bool bad(struct error *e, const char *why)
{
	return error_set(e, ERROR_DATA, "no request: %s", why);
}

static bool take_member(struct reader *r, struct str values[MEMBERS], struct error *e)
{
	struct str name;
	size_t i = 0;

	if (!take_string(r, &name) || !take_text(r, STR(":")))
		return bad(e, "a name and a value are wanted");
	while (i < MEMBERS && !str_eq(name, members[i]))
		i++;
	if (i == MEMBERS)
		return bad(e, "a member that is not known");
	if (values[i].p)
		return bad(e, "a member is there twice");
	if (i == ALL) {
		values[i] = STR("true");
		return take_text(r, values[i]) || bad(e, "\"all\" can only be true");
	}
	return take_string(r, &values[i]) || bad(e, "a string is wanted");
}

static bool take_object(struct reader *r, struct str values[MEMBERS], struct error *e)
{
	if (!take_text(r, STR("{")))
		return bad(e, "an object is wanted");
	do {
		if (!take_member(r, values, e))
			return false;
	} while (take_text(r, STR(",")));
	if (!take_text(r, STR("}")))
		return bad(e, "the object has no end");
	skip_blanks(r);
	return r->rest.n == 0 || bad(e, "something follows it");
}

static bool has(const struct str values[MEMBERS], enum member m)
{
	return values[m].p != NULL;
}

static bool has_any(const struct str v[MEMBERS], enum member from)
{
	for (int m = (int)from; m < MEMBERS; m++)
		if (has(v, (enum member)m))
			return true;
	return false;
}

static bool settle_states(struct str text, unsigned *out, struct error *e)
{
	enum control_state state;
	struct str word;

	while (str_token(&text, STR(" "), &word)) {
		if (!control_state_parse(word, &state))
			return bad(e, "a state that is not known");
		*out |= state;
	}
	return true;
}

/* Which recipients are listed. */
static bool settle_filter(const struct str v[MEMBERS], struct control_filter *f, struct error *e)
{
	f->has_destination = has(v, DESTINATION);
	f->destination = v[DESTINATION];
	f->has_sender = has(v, SENDER);
	f->sender = v[SENDER];
	f->message = v[MESSAGE];
	f->reason = v[REASON];
	if (has(v, ALL) || has(v, RECIPIENT))
		return bad(e, "no such member of a list");
	if (has(v, ARRIVED_BEFORE) && !str_to_u64(v[ARRIVED_BEFORE], &f->arrived_before_ms))
		return bad(e, "digits are wanted");
	return settle_states(v[STATES], &f->states, e);
}

/* One way to say which recipients, and only where there is something to be done to them. */
static bool settle_change(const struct str v[MEMBERS], struct control_request *out, struct error *e)
{
	int n = has(v, ALL) + has(v, DESTINATION) + has(v, MESSAGE);

	if (n != 1)
		return bad(e, "one of all, destination and message is wanted");
	if (has(v, RECIPIENT) && (!has(v, MESSAGE) || v[RECIPIENT].n == 0))
		return bad(e, "a recipient is one of a message");
	out->reach = has(v, ALL)           ? CONTROL_ALL
		     : has(v, DESTINATION) ? CONTROL_OF_DESTINATION
		     : has(v, RECIPIENT)   ? CONTROL_OF_RECIPIENT
					   : CONTROL_OF_MESSAGE;
	out->destination = v[DESTINATION];
	out->message = v[MESSAGE];
	out->recipient = v[RECIPIENT];
	return true;
}

static bool settle_reach(const struct str v[MEMBERS], struct control_request *out, struct error *e)
{
	if (out->kind == CONTROL_LIST)
		return settle_filter(v, &out->filter, e);
	if (has_any(v, SENDER))
		return bad(e, "only a list has such a member");
	if (control_is_change(out->kind))
		return settle_change(v, out, e);
	if (out->kind != CONTROL_SHOW && out->kind != CONTROL_CAT)
		return !has_any(v, ALL) || bad(e, "it is about no mail");
	if (!has(v, MESSAGE) || has(v, ALL) || has(v, DESTINATION) || has(v, RECIPIENT))
		return bad(e, "a message is wanted, and nothing else");
	out->reach = CONTROL_OF_MESSAGE;
	out->message = v[MESSAGE];
	return true;
}

bool control_request_parse(struct arena *a, struct str line, struct control_request *out,
			   struct error *e)
{
	struct reader r = { a, line };
	struct str values[MEMBERS] = { 0 };

	*out = (struct control_request){ .reach = CONTROL_NOTHING };
	if (!take_object(&r, values, e))
		return false;
	if (!has(values, REQUEST) || !control_kind_parse(values[REQUEST], &out->kind))
		return bad(e, "what is asked for is not known");
	return settle_reach(values, out, e);
}

static void add_states(struct json *j, unsigned wanted)
{
	struct buf b;

	buf_init(&b, 64);
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (wanted & states[i].state)
			(void)!buf_fmt(&b, STR_FMT " ", STR_ARG(states[i].name));
	json_put_str(j, "states", str_trim(buf_str(&b)));
	buf_fini(&b);
}

static void add_filter(struct json *j, const struct control_filter *f)
{
	char digits[24];

	if (f->has_destination)
		json_put_str(j, "destination", f->destination);
	if (f->has_sender)
		json_put_str(j, "sender", f->sender);
	if (f->message.n > 0)
		json_put_str(j, "message", f->message);
	if (f->reason.n > 0)
		json_put_str(j, "reason", f->reason);
	if (f->states)
		add_states(j, f->states);
	(void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)f->arrived_before_ms);
	if (f->arrived_before_ms)
		json_put_str(j, "arrived_before_ms", str_of(digits));
}

bool control_request_add(struct buf *out, const struct control_request *r)
{
	size_t before = buf_len(out);
	struct json j;

	json_init(&j, out, false);
	json_object(&j);
	json_put_str(&j, "request", control_kind_name(r->kind));
	if (r->reach == CONTROL_ALL)
		json_put_bool(&j, "all", true);
	if (r->reach == CONTROL_OF_DESTINATION)
		json_put_str(&j, "destination", r->destination);
	if (r->reach == CONTROL_OF_MESSAGE || r->reach == CONTROL_OF_RECIPIENT)
		json_put_str(&j, "message", r->message);
	if (r->reach == CONTROL_OF_RECIPIENT)
		json_put_str(&j, "recipient", r->recipient);
	if (r->kind == CONTROL_LIST)
		add_filter(&j, &r->filter);
	json_object_end(&j);
	return json_end(&j) && buf_len(out) - before <= CONTROL_LINE_MAX;
}
