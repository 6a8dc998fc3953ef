#include "deliver/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct content {
	int fd;
	char piece[CONTENT_PIECE];
};

struct content *content_of_fd(int fd)
{
	struct content *c = base_alloc(sizeof(*c));

	c->fd = fd;
	return c;
}

void content_free(struct content *c)
{
	if (!c)
		return;
	(void)close(c->fd);
	free(c);
}

bool content_read(struct content *c, uint64_t at, struct str *piece, struct error *e)
{
	ssize_t n;

	do {
		n = pread(c->fd, c->piece, sizeof(c->piece), (off_t)at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(e, ERROR_IO, "reading the message: %s", strerror(errno));
	*piece = str_span(c->piece, (size_t)n);
	return true;
}
