"""Read the firehose and print every log: plain Python, the `websockets` package and our generated protobuf classes.

.venv/bin/python examples/firehose_reader.py [DATA-DIR]
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

from websockets.asyncio.client import connect

from envelope.pb.dropsonde_pb2 import Envelope


async def main(data_dir: Path) -> None:
    """Print one line for each log, until the stream ends."""
    address = json.loads((data_dir / "endpoints.json").read_text())["traffic_controller"]
    trust = ssl.create_default_context(cafile=data_dir / "certs" / "ca.crt")
    token = {"Authorization": "bearer " + (data_dir / "tokens" / "admin").read_text()}
    url = f"wss://{address}/firehose/example-reader"  # readers of one name share its stream
    async with connect(url, ssl=trust, additional_headers=token, compression=None) as firehose:
        async for message in firehose:  # each is one v1 envelope
            envelope = Envelope.FromString(message)
            if envelope.HasField("logMessage"):
                log = envelope.logMessage
                print(log.app_id, log.message.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    default = Path.home() / ".local" / "share" / "standpipe"
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
