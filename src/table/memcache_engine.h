/* What runs on the threads of a memcache table: "get" with several tries. */

#ifndef HOPSEAL_TABLE_MEMCACHE_ENGINE_H
#define HOPSEAL_TABLE_MEMCACHE_ENGINE_H

#include "proto/memcache.h"
#include "table/remote_stream.h"

struct memcache_config {
	struct remote_server server;
	struct memcache_limits limits;
	uint64_t tries;
	uint64_t pause_ms;   /* between two of them */
	uint64_t timeout_ms; /* of one */
};

/* Its configuration is a struct memcache_config, and its keys satisfy memcache_is_key. */
extern const struct remote_engine memcache_engine;

#endif
