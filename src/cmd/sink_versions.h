/* "1.2", "1.0-1.2", "TLSv1.1,TLSv1.3": the protocols of `hopseal sink --tls-protocols`. */

#ifndef HOPSEAL_CMD_SINK_VERSIONS_H
#define HOPSEAL_CMD_SINK_VERSIONS_H

#include "policy/peer.h"

MUST_USE bool cmd_sink_versions_parse(struct str text, tls_versions *out);

#endif
