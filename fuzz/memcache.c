/* The reader of memcached's replies: what it says of the beginning of a reply never changes when
 * more comes, but for MORE; and values keep to the limits. The first line is the key. */

#include "fuzz.h"

#include "proto/memcache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memcache_limits limits = { .line_max = 64, .value_max = 100 };
	struct str in = str_span((const char *)data, size), key, rest;
	enum memcache_parse before = MEMCACHE_PARSE_MORE;
	size_t used_before = 0;

	if (size > 4096 || !str_cut(in, '\n', &key, &rest) || !memcache_is_key(key))
		return 0;
	for (size_t n = 0; n <= rest.n; n++) {
		struct memcache_reply r = { 0 };
		size_t used;
		enum memcache_parse got =
			memcache_take(str_first(rest, n), key, &limits, &r, &used);
		CHECK(before == MEMCACHE_PARSE_MORE || (got == before && used == used_before));
		CHECK(used <= n && r.value.n <= limits.value_max && r.text.n < limits.line_max);
		before = got;
		used_before = used;
	}
	return 0;
}
