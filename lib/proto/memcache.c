#include "proto/memcache.h"

bool memcache_is_key(struct str key)
{
	for (size_t i = 0; i < key.n; i++)
		if ((unsigned char)key.p[i] <= ' ' || key.p[i] == 127)
			return false;
	return key.n > 0 && key.n <= MEMCACHE_KEY_MAX;
}

bool memcache_get_add(struct buf *out, struct str key)
{
	bool fits = buf_room(out) >= key.n + 6;

	if (!fits)
		return false;
	fits = buf_add(out, STR("get ")) && buf_add(out, key) && buf_add(out, STR("\r\n"));
	CHECK(fits);
	return true;
}

/* What is left of the reply. */
struct cursor {
	struct str rest;
	size_t used;
};

static void cursor_move(struct cursor *c, size_t n)
{
	c->rest = str_from(c->rest, n);
	c->used += n;
}

/* FOUND: *line is one line without CRLF. */
static enum memcache_parse take_line(struct cursor *c, size_t max, struct str *line)
{
	struct str window = str_first(c->rest, max);
	size_t n;

	if (!str_find(window, '\n', &n))
		return window.n == max ? MEMCACHE_PARSE_BAD : MEMCACHE_PARSE_MORE;
	if (n == 0 || window.p[n - 1] != '\r')
		return MEMCACHE_PARSE_BAD;
	*line = str_first(window, n - 1);
	cursor_move(c, n + 1);
	return MEMCACHE_PARSE_FOUND;
}

/* "VALUE key flags octets", and perhaps a number more. */
static enum memcache_parse read_value_line(struct str line, struct str key, size_t max, uint64_t *n)
{
	struct str word, blank = STR(" ");
	uint64_t flags;

	if (!str_token(&line, blank, &word) || !str_token(&line, blank, &word) ||
	    !str_eq(word, key) || !str_token(&line, blank, &word) || !str_to_u64(word, &flags) ||
	    !str_token(&line, blank, &word) || !str_to_u64(word, n))
		return MEMCACHE_PARSE_BAD;
	return *n > max ? MEMCACHE_PARSE_TOO_LONG : MEMCACHE_PARSE_FOUND;
}

/* The value with its CRLF, and the END after it. */
static enum memcache_parse
take_value(struct cursor *c, size_t n, const struct memcache_limits *limits, struct str *value)
{
	struct str end;

	if (c->rest.n < n + 2)
		return MEMCACHE_PARSE_MORE;
	*value = str_first(c->rest, n);
	if (c->rest.p[n] != '\r' || c->rest.p[n + 1] != '\n')
		return MEMCACHE_PARSE_BAD;
	cursor_move(c, n + 2);
	enum memcache_parse got = take_line(c, limits->line_max, &end);
	if (got == MEMCACHE_PARSE_FOUND && !str_eq(end, STR("END")))
		return MEMCACHE_PARSE_BAD;
	return got;
}

static bool is_trouble(struct str line)
{
	return str_eq(line, STR("ERROR")) || str_has_prefix(line, STR("CLIENT_ERROR")) ||
	       str_has_prefix(line, STR("SERVER_ERROR"));
}

static enum memcache_parse take_reply(struct cursor *c, struct str key,
				      const struct memcache_limits *limits,
				      struct memcache_reply *out)
{
	struct str line;
	uint64_t n;
	enum memcache_parse got = take_line(c, limits->line_max, &line);

	if (got != MEMCACHE_PARSE_FOUND)
		return got;
	if (str_eq(line, STR("END")))
		return MEMCACHE_PARSE_NONE;
	out->text = line;
	if (is_trouble(line))
		return MEMCACHE_PARSE_ERROR;
	if (!str_has_prefix(line, STR("VALUE ")))
		return MEMCACHE_PARSE_BAD;
	got = read_value_line(line, key, limits->value_max, &n);
	return got == MEMCACHE_PARSE_FOUND ? take_value(c, (size_t)n, limits, &out->value) : got;
}

enum memcache_parse memcache_take(struct str in, struct str key,
				  const struct memcache_limits *limits, struct memcache_reply *out,
				  size_t *used)
{
	struct cursor c = { .rest = in };
	enum memcache_parse got = take_reply(&c, key, limits, out);

	*used = c.used;
	return got;
}
