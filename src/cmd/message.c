#include "cmd/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cmd_spool_open(struct error *e)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];

	if (!dir || !*dir)
		dir = "/tmp";
	if ((size_t)snprintf(path, sizeof(path), "%s/hopseal.XXXXXX", dir) >= sizeof(path)) {
		(void)error_set(e, ERROR_SYSTEM, "TMPDIR is too long");
		return -1;
	}
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		(void)error_set(e, ERROR_SYSTEM, "%s: cannot make a file for the message: %s", dir,
				strerror(errno));
	else
		(void)unlink(path);
	return fd;
}

bool cmd_spool_write(int fd, struct str s, struct error *e)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(e, ERROR_IO, "keeping the message: %s", strerror(errno));
		s = str_from(s, (size_t)n);
	}
	return true;
}

static bool spool_copy(int from, int to, uint64_t limit, struct message_scan *scan, struct error *e)
{
	static char piece[CONTENT_PIECE];

	for (;;) {
		ssize_t n = read(from, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, ERROR_IO, "reading the message: %s", strerror(errno));
		if (n == 0)
			break;
		struct str s = str_span(piece, (size_t)n);
		message_scan_feed(scan, s);
		if (limit > 0 && scan->size_octets > limit)
			return error_set(
				e, ERROR_DATA,
				"the message is larger than message_size_limit (%llu octets)",
				(unsigned long long)limit);
		if (!cmd_spool_write(to, s, e))
			return false;
	}
	message_scan_end(scan);
	return true;
}

bool cmd_message_read(int fd, uint64_t limit_octets, struct cmd_message *out, struct error *e)
{
	int spool = cmd_spool_open(e);

	if (spool < 0)
		return false;
	message_scan_init(&out->scan);
	if (!spool_copy(fd, spool, limit_octets, &out->scan, e)) {
		(void)close(spool);
		return false;
	}
	out->content = content_of_fd(spool);
	return true;
}
