"""Ask a W&B server whether it is there: one request, without the client, which would try for minutes."""

import logging
from urllib.parse import urlsplit, urlunsplit

log = logging.getLogger(__name__)

PROBE_S = 5.0
# A query without a name of an account: any server of the protocol can answer it, or say who may ask.
_PING = b'{"operationName":"ServerFeaturesQuery","query":"query ServerFeaturesQuery{serverInfo{__typename}}"}'


def answers(server: str, timeout_s: float = PROBE_S) -> bool:
    """Whether a W&B server answers a request: whatever it says, short of failing itself.

    No key is sent: that it wants one is an answer. It is asked by way of the proxy that the environment
    names (`https_proxy`, `no_proxy`, …), as the client does; a certificate that Python does not trust, and
    the client may, is an answer as well.
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    parts = urlsplit(server)
    if not parts.hostname:
        return False
    where = urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path.rstrip('/')}/graphql", "", "")
    )
    request = urllib.request.Request(where, _PING, {"Content-Type": "application/json"})
    # The client goes to this machine itself, whatever the environment says.
    proxies = urllib.request.ProxyHandler({} if _is_local(parts.hostname) else None)
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=timeout_s) as reply:
            return int(reply.status) < 500
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        log.debug("%s does not answer: %s", parts.hostname, error)
        return isinstance(reason, ssl.SSLCertVerificationError)


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
