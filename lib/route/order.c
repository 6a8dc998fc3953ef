/* RFC 5321 section 5.1: hosts of equal preference in random order. smtp_address_preference,
 * smtp_balance_inet_protocols and smtp_mx_address_limit in postconf(5). */

#include "route/order.h"

/* splitmix64: a good spread of any seed, and the same everywhere. */
static uint64_t route_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void route_shuffle(struct route_host *v, size_t n, uint64_t seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)(route_random(&seed) % i);
		struct route_host kept = v[i - 1];
		v[i - 1] = v[j];
		v[j] = kept;
	}
}

static int route_family_rank(const struct route_host *h, enum route_preference p)
{
	switch (p) {
	case ROUTE_PREFER_ANY:
		return 0;
	case ROUTE_PREFER_V4:
		return h->address.family == ADDRESS_V4 ? 0 : 1;
	case ROUTE_PREFER_V6:
		return h->address.family == ADDRESS_V6 ? 0 : 1;
	}
	CHECK(!"address preference");
	return 0;
}

static bool
route_goes_before(const struct route_host *a, const struct route_host *b, enum route_preference p)
{
	if (a->preference != b->preference)
		return a->preference < b->preference;
	return route_family_rank(a, p) < route_family_rank(b, p);
}

/* By insertion: the lists are short (ROUTE_ADDRESSES_MAX) and it is stable. */
static void route_sort(struct route_host *v, size_t n, enum route_preference p)
{
	for (size_t i = 1; i < n; i++) {
		struct route_host moved = v[i];
		size_t j = i;
		for (; j > 0 && route_goes_before(&moved, &v[j - 1], p); j--)
			v[j] = v[j - 1];
		v[j] = moved;
	}
}

void route_sort_by_preference(struct mx_record *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct mx_record moved = v[i];
		size_t j = i;
		for (; j > 0 && moved.preference < v[j - 1].preference; j--)
			v[j] = v[j - 1];
		v[j] = moved;
	}
}

static size_t route_count(const struct route_host *v, size_t n, enum address_family f)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += v[i].address.family == f;
	return count;
}

/* How many of each family stay: half each, or what one does not need goes to the other; the odd one
 * is of the first address's family. */
static void route_shares(const struct route_host *v, size_t n, size_t limit, size_t left[2])
{
	size_t v4 = route_count(v, n, ADDRESS_V4), v6 = n - v4;

	if (v6 <= limit / 2)
		left[ADDRESS_V4] = limit - v6;
	else if (v4 <= limit / 2)
		left[ADDRESS_V4] = v4;
	else
		left[ADDRESS_V4] = (limit + (v[0].address.family == ADDRESS_V4)) / 2;
	left[ADDRESS_V6] = limit - left[ADDRESS_V4];
}

static size_t route_balance(struct route_host *v, size_t n, size_t limit)
{
	size_t left[2], kept = 0;

	route_shares(v, n, limit, left);
	for (size_t i = 0; i < n; i++) {
		if (left[v[i].address.family] == 0)
			continue;
		left[v[i].address.family]--;
		v[kept++] = v[i];
	}
	return kept;
}

size_t route_order_hosts(struct route_host *v, size_t n, const struct route_order *o)
{
	if (o->is_random)
		route_shuffle(v, n, o->seed);
	route_sort(v, n, o->preference);
	if (o->limit == 0 || n <= o->limit)
		return n;
	return o->is_balanced ? route_balance(v, n, o->limit) : o->limit;
}
