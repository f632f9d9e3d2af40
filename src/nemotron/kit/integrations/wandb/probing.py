"""Ask a W&B server whether it is there: one request, without the client, which would try for minutes."""

import logging
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

PROBE_S = 5.0
# A query without a name of an account: any server of the protocol can answer it, or say who may ask.
_PING = b'{"operationName":"ServerFeaturesQuery","query":"query ServerFeaturesQuery{serverInfo{__typename}}"}'


def answers(server: str, timeout_s: float = PROBE_S) -> bool:
    """Whether a W&B server answers a request: whatever it says, short of failing itself.

    No key is sent: that it wants one is an answer.
    """
    import http.client

    parts = urlsplit(server)
    if not parts.hostname:
        return False
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    try:
        path = f"{parts.path.rstrip('/')}/graphql"
        connection.request("POST", path, _PING, {"Content-Type": "application/json"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException) as error:
        log.debug("%s does not answer: %s", parts.hostname, error)
        return False
    finally:
        connection.close()
