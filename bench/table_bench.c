/* Lookups in one table, in the process: table_bench TYPE:NAME KEYFILE [LOOKUPS]. The keys, one a
 * line, are asked for in an order that jumps about. Prints one line:
 *
 *	open_ms own_kib mapped_kib lookup_ns version_ns found
 *
 * where own is the memory of its own that the process has after all the lookups and had not before
 * the table was opened, and mapped the pages of the file, which the system shares and can take
 * back. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "table/table.h"

enum { LOOKUPS = 1000000, VERSIONS = 1000000 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct memory {
	long own_kib, mapped_kib;
};

static struct memory memory_now(void)
{
	struct memory m = { 0, 0 };
	long resident = 0, shared = 0, page_kib = sysconf(_SC_PAGESIZE) / 1024;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%*s %ld %ld", &resident, &shared) == 2)
		m = (struct memory){ (resident - shared) * page_kib, shared * page_kib };
	if (f)
		fclose(f);
	return m;
}

/* The lines of a file, which are never freed. */
static struct str *read_keys(const char *path, size_t *n)
{
	struct str *keys = NULL;
	char *line = NULL;
	size_t size = 0, room = 0;
	ssize_t len;
	FILE *f = fopen(path, "r");

	*n = 0;
	while (f && (len = getline(&line, &size, f)) > 0) {
		if (*n == room) {
			room = room * 2 + 1024;
			keys = base_realloc(keys, room * sizeof(*keys));
		}
		len -= line[len - 1] == '\n';
		keys[(*n)++] = str_span(strndup(line, (size_t)len), (size_t)len);
	}
	if (f)
		fclose(f);
	free(line);
	return keys;
}

/* Returns how many were found. */
static size_t look_up(struct table_set *s, const struct str *keys, size_t n_keys, size_t n)
{
	struct arena *a = arena_new();
	size_t found = 0;
	uint32_t at = 1;

	for (size_t i = 0; i < n; i++) {
		struct table_query q = { .arena = a };
		struct answer answer;
		at = at * 1664525 + 1013904223; /* Knuth's numbers: an order, not a secret */
		q.key = keys[((uint64_t)at * n_keys) >> 32];
		if (table_set_lookup(s, &q, &answer) == NULL)
			found += answer.status == ANSWER_FOUND;
		arena_reset(a);
	}
	arena_free(a);
	return found;
}

static double version_ns(struct table_set *s)
{
	double start = now_s();
	uint64_t version;

	for (size_t i = 0; i < VERSIONS; i++)
		(void)!table_set_version(s, 0, &version);
	return (now_s() - start) * 1e9 / VERSIONS;
}

int main(int argc, char **argv)
{
	struct table_options o = { .is_utf8 = true };
	size_t n_keys, n = argc > 3 ? (size_t)atol(argv[3]) : LOOKUPS;

	if (argc < 3)
		return 64;
	struct str *keys = read_keys(argv[2], &n_keys);
	if (n_keys == 0)
		return 66;
	struct memory before = memory_now();
	double start = now_s();
	struct table_set *s = table_set_new(STR("bench"), str_of(argv[1]), &o, 0);
	double opened = now_s();
	size_t found = look_up(s, keys, n_keys, n);
	double ended = now_s();
	struct memory after = memory_now();
	printf("%.2f %ld %ld %.0f %.0f %zu\n", (opened - start) * 1e3,
	       after.own_kib - before.own_kib, after.mapped_kib - before.mapped_kib,
	       (ended - opened) * 1e9 / (double)n, version_ns(s), found);
	table_set_free(s);
	return found > 0 ? 0 : 1;
}
