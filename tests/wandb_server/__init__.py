"""A W&B server in the test process: it speaks enough of the protocol for the real client, and remembers.

    with WandbServer() as server:
        os.environ["WANDB_BASE_URL"] = server.url
        …                                   # wandb.init, log_artifact, use_artifact, finish
        server.artifact("name:v0").metadata

`state.py` is what a server knows, `graphql.py` answers the client's queries by operation name with the
`values.py` of that state, `web.py` carries it over HTTP. `transaction_log.py` reads what the client writes
when it is offline.
"""

from wandb_server.state import Artifact, Run, State
from wandb_server.transaction_log import read_log
from wandb_server.web import Fault, WandbServer

__all__ = ["Artifact", "Fault", "Run", "State", "WandbServer", "read_log"]
