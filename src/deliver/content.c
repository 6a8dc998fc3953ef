#include "deliver/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct content {
	struct str memory; /* fd is -1 */
	int fd;
	char piece[]; /* CONTENT_PIECE of them for a file */
};

struct content *content_of_memory(struct str octets)
{
	struct content *c = base_alloc(sizeof(*c));

	c->memory = octets;
	c->fd = -1;
	return c;
}

struct content *content_of_fd(int fd)
{
	struct content *c = base_alloc(sizeof(*c) + CONTENT_PIECE);

	c->fd = fd;
	return c;
}

void content_free(struct content *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c);
}

bool content_read(struct content *c, uint64_t at, struct str *piece, struct error *e)
{
	ssize_t n;

	if (c->fd < 0) {
		size_t from = at < c->memory.n ? (size_t)at : c->memory.n;
		*piece = str_first(str_from(c->memory, from), CONTENT_PIECE);
		return true;
	}
	do {
		n = pread(c->fd, c->piece, CONTENT_PIECE, (off_t)at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(e, ERROR_IO, "reading the message: %s", strerror(errno));
	*piece = str_span(c->piece, (size_t)n);
	return true;
}
