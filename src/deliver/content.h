/* The octets of a message, read in pieces and from the start as often as needed. */

#ifndef HOPSEAL_DELIVER_CONTENT_H
#define HOPSEAL_DELIVER_CONTENT_H

#include "base/error.h"
#include "base/str.h"

#define CONTENT_PIECE (64 * 1024) /* octets read at once */

struct content;

/* Of octets that outlive it. */
MUST_USE struct content *content_of_memory(struct str octets);
/* Reads from `fd` with pread(2); the descriptor is closed by content_free. */
MUST_USE struct content *content_of_fd(int fd);
void content_free(struct content *c);

/* The piece at `at`, CONTENT_PIECE octets at most, borrowed until the next read; empty at the
 * end. */
MUST_USE bool content_read(struct content *c, uint64_t at, struct str *piece, struct error *e);

#endif
